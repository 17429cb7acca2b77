import pytest
import torch
from torch import nn

from memvos.model.backbone import Features
from memvos.model.interface import Memory, MemoryFrame, Query, Reference
from memvos.model.qam import AcceptAll


def frame(value: float, **more) -> MemoryFrame:
    """A record of two objects, filled with one number: Ck 3, Cv 4, grid 1×2."""
    return MemoryFrame(torch.full((1, 2, 3, 1, 2), value), torch.full((1, 2, 4, 1, 2), value), torch.ones(1, 2), **more)


def test_records_become_a_memory_in_their_order():
    memory = Memory.stack([frame(1), frame(2), frame(3)])
    assert memory.key.shape == (1, 2, 3, 3, 1, 2)
    assert memory.value[0, 1, 0, :, 0, 1].tolist() == [1, 2, 3]
    assert memory.valid is None


def test_a_record_that_says_nothing_describes_all_objects():
    memory = Memory.stack([frame(1, valid=torch.tensor([[True, False]])), frame(2)])
    assert memory.valid.tolist() == [[[True, True], [False, True]]]  # object by frame


def test_the_first_and_the_latest_reference_are_kept():
    given, later = (Reference((), torch.full((1, 2, 4, 4), value)) for value in (0.0, 1.0))
    memory = Memory.stack([frame(1, reference=given), frame(2), frame(3, reference=later)])
    assert memory.first == (given,)
    assert memory.first_of == (0, 0)
    assert memory.previous is later


def test_a_memory_of_nothing_is_refused():
    with pytest.raises(ValueError, match="a memory needs at least one frame, got none; memorize the annotated frame"):
        Memory.stack([])


def test_features_are_computed_once_and_only_if_asked_for(tiny):
    model, calls = tiny(), []
    model.encode = lambda image: calls.append(image) or len(calls)
    query = model.query(torch.zeros(1, 3, 32, 32))
    assert calls == []
    assert (query.features, query.features) == (1, 1)
    assert len(calls) == 1


def test_a_twin_has_another_part_and_shares_the_rest(tiny):
    model = tiny()
    twin = model.having(quality=AcceptAll())
    assert isinstance(twin.quality, AcceptAll)
    assert not isinstance(model.quality, AcceptAll)
    assert twin.decoder is model.decoder
    twin.having(decoder=nn.Identity())
    assert twin.decoder is model.decoder


def test_features_without_gradient_are_the_same_in_the_same_form():
    scale = torch.tensor(2.0, requires_grad=True)
    query = Query(torch.ones(1, 3, 16, 16), lambda image: Features(scale * image, (scale * image,), None))
    features = query.without_gradient().features
    assert isinstance(features, Features)
    assert torch.equal(features.f4, query.features.f4)
    assert not features.f4.requires_grad
    assert not features.f8[0].requires_grad
    assert features.f16 is None
    assert query.features.f4.requires_grad
