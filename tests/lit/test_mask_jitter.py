"""Masks that are spoilt for QAM to learn from: what is moved where, how far they go, and what is left alone."""

import math

import numpy as np
import pytest
import torch

from memvos.lit import mask_jitter
from memvos.lit.mask_jitter import KEPT, REACH, STRETCH, TURN, MaskJitter, jitter, part, take_over
from memvos.losses import mask_iou


class Drawn:
    """Gives the numbers that a test has chosen, each kind in the order in which they are drawn."""

    def __init__(self, numbers, uniforms, integers=()):
        self.numbers, self.uniforms, self.whole = list(numbers), list(uniforms), list(integers)

    def random(self):
        return self.numbers.pop(0)

    def uniform(self, low, high, count=None):
        return self.uniforms.pop(0)

    def integers(self, count):
        return self.whole.pop(0)


def change(strength=1.0, distance=0.0, form=(0, 0, 0), direction=0.0, reach=0.0):
    """What `jitter` draws, `form` being [turn, width, height]."""
    return Drawn([strength, distance], [np.array(form), direction, reach])


def square(top=8, left=8, height=4, width=4, side=24):
    mask = torch.zeros(side, side)
    mask[top : top + height, left : left + width] = 1
    return mask


@pytest.mark.parametrize(
    ("direction", "expected"), [(0, square(left=12)), (math.pi / 2, square(top=12)), (math.pi, square(left=4))]
)
def test_a_mask_is_moved_by_its_size_at_most(direction, expected):
    moved = jitter(square(), change(distance=1.0, direction=direction))
    assert torch.allclose(moved, expected, atol=1e-5)


@pytest.mark.parametrize(("factor", "expected"), [(2, square(left=9, width=2)), (0.5, square(left=6, width=8))])
def test_a_mask_is_stretched_about_its_centre(factor, expected):
    stretched = jitter(square(), change(form=(0, math.log(factor) / STRETCH, 0)))
    assert torch.equal(stretched > 0.5, expected > 0.5)


def test_a_mask_is_turned_about_its_centre():
    upright = jitter(square(left=6, width=8), change(form=(90 / TURN, 0, 0)))
    assert torch.allclose(upright, square(top=6, left=8, height=8), atol=1e-4)


def test_its_border_is_moved_by_a_share_of_its_size():
    pixel = 1.01 / (REACH * 4)
    assert torch.allclose(jitter(square(), change(reach=pixel)), square(7, 7, 6, 6), atol=1e-5)
    assert torch.allclose(jitter(square(), change(reach=-pixel)), square(9, 9, 2, 2), atol=1e-5)


def test_nothing_happens_at_no_strength():
    weak = jitter(square(), change(strength=0.0, distance=1.0, form=(1, 1, 1), direction=2.0, reach=1.0))
    assert torch.allclose(weak, square(), atol=1e-5)


@pytest.mark.parametrize(
    ("direction", "share", "expected"),
    [
        (0, 0.5, square(width=2)),
        (math.pi, 0.5, square(left=10, width=2)),
        (math.pi / 2, 0.5, square(height=2)),
        (0, 1.0, square()),
    ],
)
def test_a_part_lies_on_one_side_of_a_line(direction, share, expected):
    assert torch.equal(part(0.9 * square(), Drawn([share], [direction])), 0.9 * expected)


def two_clips():
    """Clip 0: objects at the top left and the top right. Clip 1: object 0 at the bottom, no object 1."""
    return torch.stack([torch.stack([square(2, 2), square(2, 14)]), torch.stack([square(14, 8), torch.zeros(24, 24)])])


def test_what_is_taken_over_is_lost_by_the_other_object_of_the_clip():
    masks = two_clips()
    take_over(masks, 0, 0, Drawn([0.5, KEPT - 0.1], [0], integers=[1]))
    assert torch.equal(masks[0, 0], square(2, 2) + square(2, 14, width=2))
    assert torch.equal(masks[0, 1], square(2, 16, width=2))
    assert torch.equal(masks[1], two_clips()[1])


def test_a_mask_that_takes_over_may_lose_a_part_itself():
    masks = two_clips()
    take_over(masks, 0, 0, Drawn([1.0, KEPT, 0.5], [0, math.pi / 2], integers=[1]))
    assert torch.equal(masks[0, 0], square(2, 2, height=2) + square(2, 14))
    assert not masks[0, 1].any()


def test_another_clip_keeps_what_is_taken_over_from_it():
    masks = two_clips()
    take_over(masks, 0, 0, Drawn([1.0, 0.0], [0], integers=[0, 1]))
    assert torch.equal(masks[0, 0], square(2, 2) + square(14, 8))
    assert torch.equal(masks[1], two_clips()[1])


def test_nothing_is_taken_over_from_the_mask_itself():
    masks = two_clips()
    take_over(masks, 0, 0, Drawn([0.5, 0.0], [0], integers=[0, 0]))
    assert torch.equal(masks, two_clips())


def test_a_weak_mask_can_be_taken_over():
    masks = torch.stack([torch.stack([square(2, 2), 0.3 * square(2, 14)])])
    take_over(masks, 0, 0, Drawn([0.5, 0.0], [0], integers=[1]))
    assert torch.equal(masks[0, 0], square(2, 2) + 0.3 * square(2, 14))
    assert not masks[0, 1].any()


def test_spoilt_masks_have_every_iou():
    truth = torch.stack([square(20, 8, 24, 24, side=64), square(20, 34, 20, 24, side=64)]).expand(400, -1, -1, -1)
    reached = mask_iou(MaskJitter(1.0)(truth, np.random.default_rng(0)), truth)
    shares = torch.histc(reached, bins=5, min=0, max=1) / reached.numel()
    assert (shares > 0.05).all(), shares


def test_a_mask_is_spoilt_in_one_of_three_ways(monkeypatch):
    ways = []
    monkeypatch.setattr(mask_jitter, "jitter", lambda mask, random: ways.append("jitter") or mask)
    monkeypatch.setattr(mask_jitter, "part", lambda mask, random: ways.append("part") or mask)
    monkeypatch.setattr(mask_jitter, "take_over", lambda *_: ways.append("take over"))
    MaskJitter(1.0)(torch.zeros(150, 2, 4, 4), np.random.default_rng(0))
    assert len(ways) == 300
    assert all(80 < ways.count(way) < 120 for way in ("jitter", "part", "take over"))


@pytest.mark.parametrize("spoil", [jitter, part])
def test_an_empty_mask_stays_empty(spoil):
    assert not spoil(torch.zeros(8, 8), np.random.default_rng(0)).any()


def test_a_share_of_the_masks_is_spoilt_and_none_in_place():
    masks = torch.stack([torch.stack([square(2, 2), square(14, 14)])] * 400)
    before = masks.clone()
    spoilt = MaskJitter(0.25)(masks, np.random.default_rng(0))
    assert torch.equal(masks, before)
    changed = (spoilt - masks).abs().flatten(2).amax(dim=2) > 1e-4
    assert 0.22 < changed.float().mean() < 0.33  # a quarter, and a few that lost a part to another
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
