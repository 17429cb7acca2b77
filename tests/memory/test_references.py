import torch

from memvos.memory.references import References
from memvos.model.interface import Reference


def reference(objects: int) -> Reference:
    return Reference((torch.randn(1, 2, 3, 3),), torch.rand(1, objects, 6, 6))


def test_each_object_keeps_the_frame_with_which_it_was_first_given():
    kept = References()
    first, corrected, late = reference(2), reference(2), reference(3)
    kept.annotate(first)
    kept.follow(reference(2))
    kept.annotate(corrected)
    kept.annotate(late)
    assert kept.first == (first, late)
    assert kept.first_of == (0, 0, 1)
    assert kept.previous is late


def test_models_without_references_have_none():
    kept = References()
    kept.annotate(None)
    kept.follow(None)
    assert kept.of_memory() == {"first": (), "first_of": (), "previous": None}


def test_the_state_goes_round():
    kept, other = References(), References()
    kept.annotate(reference(1))
    kept.follow(reference(1))
    other.load_state_dict(kept.state_dict())
    assert other.first_of == (0,)
    assert torch.equal(other.first[0].features[0], kept.first[0].features[0])
    assert torch.equal(other.previous.masks, kept.previous.masks)
