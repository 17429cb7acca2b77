from dataclasses import replace

import pytest
import torch
from torchvision.transforms.functional import normalize

from memvos.data.clip import IMAGENET_MEAN, IMAGENET_STD, Clip, ClipBatch, normalise


def clip(frames=2, slots=2, name="a"):
    masks = torch.zeros(frames, slots, 4, 6)
    masks[:, 0, 0], masks[:, 1, 0, :2] = 0.9, 0.8
    masks[:, 1, 2] = 0.5
    return Clip(torch.zeros(frames, 3, 4, 6), masks, torch.tensor([True, True][:slots]), name)


def test_normalised_values_are_those_of_the_imagenet_mean_and_deviation():
    image = torch.tensor([[[255, 0, 124]]], dtype=torch.uint8)
    expected = torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, (124 / 255 - 0.406) / 0.225])
    assert torch.allclose(normalise(image)[:, 0, 0], expected)
    with pytest.raises(ValueError, match=r"expected a uint8 image \(\.\.\., H, W, 3\), got torch.float32 \(3, 2, 2\)"):
        normalise(torch.zeros(3, 2, 2))


def test_every_value_of_every_frame_is_normalised_exactly_as_torchvision_does():
    torch.manual_seed(0)
    wide = torch.randint(0, 256, (2, 3, 8, 12, 3), dtype=torch.uint8)
    wide[0, 0].view(-1)[:256] = torch.arange(256)
    for frames in (wide, wide[..., 2:9, :], wide.flip(-1), wide[1, 2]):
        expected = normalize(frames.movedim(-1, -3) / 255, IMAGENET_MEAN, IMAGENET_STD)
        assert torch.equal(normalise(frames), expected)
        assert normalise(frames).is_contiguous()


def test_a_batch_stacks_its_clips():
    batch = ClipBatch.collate([clip(name="a"), clip(name="b")])
    assert batch.frames.shape == (2, 2, 3, 4, 6)
    assert batch.masks.shape == (2, 2, 2, 4, 6)
    assert batch.valid.tolist() == [[True, True]] * 2
    assert batch.names == ("a", "b")
    assert batch.to(torch.float64).frames.dtype == torch.float64


def test_labels_are_slots_from_1_and_the_later_slot_wins():
    labels = ClipBatch.collate([clip()]).labels
    assert labels.shape == (1, 2, 4, 6)
    assert labels[0, 0, 0].tolist() == [2, 2, 1, 1, 1, 1]
    assert labels[0, 0, 2].tolist() == [0] * 6  # .5 is not inside


@pytest.mark.parametrize(
    ("frames", "masks", "valid", "message"),
    [
        ((2, 4, 4, 6), (2, 1, 4, 6), torch.tensor([True]), r"clip 'x': expected frames \(T, 3, H, W\)"),
        ((2, 3, 4, 6), (2, 1, 4, 5), torch.tensor([True]), r"clip 'x': expected masks \(T, N, H, W\) that fit"),
        ((2, 3, 4, 6), (2, 1, 4, 6), torch.tensor([1]), r"clip 'x': expected valid \(N=1,\) bool"),
    ],
)
def test_parts_that_do_not_fit_are_refused(frames, masks, valid, message):
    with pytest.raises(ValueError, match=message):
        Clip(torch.zeros(frames), torch.zeros(masks), valid, "x")


def test_a_batch_knows_the_times_of_its_frames():
    batch = ClipBatch.collate([clip(), replace(clip(), times=torch.tensor([0, 5]))])
    assert batch.time(1).tolist() == [1, 5]
    assert ClipBatch(batch.frames, batch.masks, batch.valid).time(1) == 1
