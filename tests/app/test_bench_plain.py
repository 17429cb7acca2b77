"""The plain augmentations that ours are timed against: what they give."""

import numpy as np
import pytest
import torch
from PIL import Image

from memvos.app import bench_plain


@pytest.fixture
def picture(tmp_path):
    """An image of 60×80 pixels and a mask with the objects 3 and 5."""
    labels = np.zeros((60, 80), np.uint8)
    labels[10:50, 5:40], labels[10:50, 45:75] = 3, 5
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(tmp_path / "image.png")
    mask = Image.fromarray(labels, mode="P")
    mask.putpalette(list(range(256)) * 3)
    mask.save(tmp_path / "mask.png")
    return tmp_path / "image.png", tmp_path / "mask.png"


def test_a_still_becomes_three_frames_of_one_object(picture):
    clip = bench_plain.pseudo_clip(*picture, size=32)
    assert clip.frames.shape == (3, 3, 32, 32)
    assert clip.masks.shape == (3, 1, 32, 32)
    assert clip.valid.tolist() == [True]


def test_a_video_keeps_its_two_objects_apart(picture):
    clip = bench_plain.video_clip([picture[0]] * 3, [picture[1]] * 3, size=32)
    assert clip.frames.shape == (3, 3, 32, 32)
    assert clip.masks.shape == (3, 2, 32, 32)
    assert clip.masks.sum(dim=1).max() <= 1


def test_a_spline_whose_points_stay_bends_nothing(monkeypatch):
    monkeypatch.setattr(torch, "randn", torch.zeros)
    picture, label = torch.rand(3, 16, 16), torch.eye(16)
    bent, bent_label = bench_plain._bend(picture, label)
    torch.testing.assert_close(bent, picture, atol=1e-5, rtol=0)
    assert torch.equal(bent_label, label)


def test_the_kernel_is_that_of_the_thin_plate():
    places = torch.tensor([[0.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    expected = 4 * np.log(4)  # r² log r² at a distance of 2; 0 at 0
    np.testing.assert_allclose(bench_plain._kernel(places, places), [[0, expected], [expected, 0]], atol=1e-9)
