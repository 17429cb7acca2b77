"""Masks that are spoilt for QAM to learn from: what is moved where, how far they go, and what is left alone."""

import math

import numpy as np
import pytest
import torch

from memvos.lit.mask_jitter import REACH, STRETCH, TURN, MaskJitter, jitter
from memvos.losses import mask_iou


class Drawn:
    """Gives the numbers that a test has chosen: strength and distance, [turn, width, height], direction, reach."""

    def __init__(self, strength=1.0, distance=0.0, form=(0, 0, 0), direction=0.0, reach=0.0):
        self.numbers, self.uniforms = [strength, distance], [np.array(form), direction, reach]

    def random(self):
        return self.numbers.pop(0)

    def uniform(self, low, high, count=None):
        return self.uniforms.pop(0)


def square(top=8, left=8, height=4, width=4, side=24):
    mask = torch.zeros(side, side)
    mask[top : top + height, left : left + width] = 1
    return mask


@pytest.mark.parametrize(
    ("direction", "expected"), [(0, square(left=12)), (math.pi / 2, square(top=12)), (math.pi, square(left=4))]
)
def test_a_mask_is_moved_by_its_size_at_most(direction, expected):
    moved = jitter(square(), Drawn(distance=1.0, direction=direction))
    assert torch.allclose(moved, expected, atol=1e-5)


@pytest.mark.parametrize(("factor", "expected"), [(2, square(left=9, width=2)), (0.5, square(left=6, width=8))])
def test_a_mask_is_stretched_about_its_centre(factor, expected):
    stretched = jitter(square(), Drawn(form=(0, math.log(factor) / STRETCH, 0)))
    assert torch.equal(stretched > 0.5, expected > 0.5)


def test_a_mask_is_turned_about_its_centre():
    upright = jitter(square(left=6, width=8), Drawn(form=(90 / TURN, 0, 0)))
    assert torch.allclose(upright, square(top=6, left=8, height=8), atol=1e-4)


def test_its_border_is_moved_by_a_share_of_its_size():
    pixel = 1.01 / (REACH * 4)
    assert torch.allclose(jitter(square(), Drawn(reach=pixel)), square(7, 7, 6, 6), atol=1e-5)
    assert torch.allclose(jitter(square(), Drawn(reach=-pixel)), square(9, 9, 2, 2), atol=1e-5)


def test_nothing_happens_at_no_strength():
    weak = jitter(square(), Drawn(strength=0.0, distance=1.0, form=(1, 1, 1), direction=2.0, reach=1.0))
    assert torch.allclose(weak, square(), atol=1e-5)


def test_spoilt_masks_have_every_iou():
    random, mask = np.random.default_rng(0), square(20, 20, 24, 24, side=64)
    reached = mask_iou(torch.stack([jitter(mask, random) for _ in range(400)]), mask.expand(400, -1, -1))
    shares = torch.histc(reached, bins=5, min=0, max=1) / 400
    assert (shares > 0.05).all(), shares


def test_an_empty_mask_stays_empty():
    assert not jitter(torch.zeros(8, 8), np.random.default_rng(0)).any()


def test_a_share_of_the_masks_is_spoilt_and_none_in_place():
    masks = torch.stack([torch.stack([square(2, 2), square(14, 14)])] * 200)
    before = masks.clone()
    spoilt = MaskJitter(0.25)(masks, np.random.default_rng(0))
    assert torch.equal(masks, before)
    changed = (spoilt - masks).abs().flatten(2).amax(dim=2) > 1e-4
    assert 0.2 < changed.float().mean() < 0.3
    assert torch.equal(MaskJitter(0.0)(masks, np.random.default_rng(0)), masks)


def test_objects_that_come_to_overlap_share_their_pixels():
    masks = torch.stack([square(8, 6), square(8, 10)]).unsqueeze(0)
    random = np.random.default_rng(1)
    for _ in range(50):
        assert MaskJitter(1.0)(masks, random).sum(dim=1).max() <= 1 + 1e-6


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_a_ratio(share):
    with pytest.raises(ValueError, match=rf"share of jittered masks in \[0, 1\], got {share}"):
        MaskJitter(share)
