import pytest
import torch
from torch import nn
from torch.nn import functional as F

from memvos.decode.aggregate import aggregate, to_probabilities
from memvos.decode.propagate import Segmenter
from memvos.model.backbone import Features
from memvos.model.floors import CopyFirst, LabelPropagation, invert_aggregation
from memvos.model.interface import Memory, MemoryFrame


class Pooled(nn.Module):
    """A backbone whose features are the colours, pooled."""

    def forward(self, image):
        return Features(F.avg_pool2d(image, 4), F.avg_pool2d(image, 8), F.avg_pool2d(image, 16))


@pytest.mark.parametrize("objects", [1, 2, 4])
def test_inverted_aggregation_gives_the_probabilities_back(objects):
    torch.manual_seed(0)
    wanted = torch.softmax(3 * torch.randn(1, objects + 1, 20, 20), dim=1)
    got = to_probabilities(aggregate(invert_aggregation(wanted[:, 1:]).sigmoid()))
    assert torch.allclose(got, wanted, atol=1e-4)


def test_inverted_aggregation_keeps_the_winner_of_close_races():
    # plain logits would let the background win here: 0.65 · 0.67 has larger odds than 0.35
    wanted = torch.tensor([0.35, 0.33]).view(1, 2, 1, 1)
    assert to_probabilities(aggregate(wanted)).argmax() == 0
    assert to_probabilities(aggregate(invert_aggregation(wanted).sigmoid())).argmax() == 1


def test_inverted_aggregation_takes_certain_masks():
    wanted = torch.tensor([[[[1.0, 0.0]], [[0.0, 0.0]]]])
    got = to_probabilities(aggregate(invert_aggregation(wanted).sigmoid()))
    assert got[0, :, 0, 0].tolist() == pytest.approx([0, 1, 0], abs=1e-4)
    assert got[0, :, 0, 1].tolist() == pytest.approx([1, 0, 0], abs=1e-4)


def test_copy_first_repeats_the_first_mask():
    frames = torch.randint(0, 256, (4, 17, 23, 3), dtype=torch.uint8)
    mask = torch.zeros(17, 23, dtype=torch.uint8)
    mask[3:9, 4:12], mask[10:15, 4:12] = 2, 5
    segmenter = Segmenter(CopyFirst(), "first", device="cpu", precision="float32")
    for time, frame in enumerate(frames):
        assert (segmenter.step(frame, mask if time == 0 else None).labels == mask.numpy()).all()


def test_copy_first_takes_each_objects_newest_given_mask():
    masks = torch.zeros(1, 2, 1, 3, 1, 4)  # (B, N, C, M, H, W): three records of a 1×4 image
    masks[0, 0, 0, 0, 0, 0] = masks[0, 0, 0, 1, 0, 1] = 1  # object 1 in records 0 and 1
    masks[0, 1, 0, 2, 0, 3] = 1  # object 2 in record 2 alone
    valid = torch.tensor([[[True, True, False], [False, False, True]]])
    logits = CopyFirst().segment(None, Memory(masks, masks, valid), None)
    assert (logits > 0).int().tolist() == [[[[0, 1, 0, 0]], [[0, 0, 0, 1]]]]


def test_copy_first_goes_by_time_where_frames_lie_in_another_order():
    masks = torch.tensor([1.0, 0.0, 1.0]).view(1, 1, 1, 3, 1, 1)  # an eviction has put frame 9 before frame 5
    assert CopyFirst().segment(None, Memory(masks, masks, times=(0, 9, 5)), None).item() < 0


def test_label_propagation_follows_a_colour_it_has_seen():
    model = LabelPropagation(Pooled(), top_k=5)
    segmenter = Segmenter(model, "first_previous", device="cpu", precision="float32")
    for time in range(4):
        frame = torch.zeros(64, 96, 3, dtype=torch.uint8)
        frame[..., 2] = 200
        mask = torch.zeros(64, 96, dtype=torch.uint8)
        left = 16 + 8 * time
        frame[16:48, left : left + 32] = torch.tensor([250, 10, 10], dtype=torch.uint8)
        mask[16:48, left : left + 32] = 3
        step = segmenter.step(frame, mask if time == 0 else None)
        assert ((step.labels == 3) == (mask.numpy() == 3)).mean() > 0.9


def test_label_propagation_looks_no_farther_than_its_radius():
    far = LabelPropagation(Pooled(), radius=0.25)._far((4, 8), 2, torch.device("cpu"))  # 2 steps on a 4×8 grid
    assert far.shape == (32, 64)
    near = (~far[0, :32]).nonzero().flatten().tolist()
    assert near == [0, 1, 2, 8, 9, 16]  # (0,0) (0,1) (0,2) (1,0) (1,1) (2,0)
    assert torch.equal(far[:, :32], far[:, 32:])


def test_label_propagation_does_not_read_frames_before_an_object_entered():
    model = LabelPropagation(Pooled(), top_k=1, radius=1.0)
    image = torch.rand(1, 3, 16, 16)
    query = model.query(image)
    early = model.memorize(query, torch.ones(1, 1, 16, 16))
    late = model.memorize(query, torch.ones(1, 2, 16, 16) * 0.5)
    early = MemoryFrame(
        early.key, torch.cat([early.value, early.value], 1), late.quality, valid=torch.tensor([[True, False]])
    )
    logits = model.segment(query, Memory.stack([early, late]), torch.zeros(1, 2, 16, 16))
    shares = to_probabilities(aggregate(logits.sigmoid())).mean(dim=(2, 3))[0]
    assert shares[1] > shares[2]  # the first object may read the certain early frame, the second may not


def test_floors_score_every_mask_as_perfect():
    masks = torch.zeros(1, 3, 16, 16)
    for model in (CopyFirst(), LabelPropagation(Pooled())):
        assert model.memorize(model.query(torch.zeros(1, 3, 16, 16)), masks).quality.tolist() == [[1, 1, 1]]
