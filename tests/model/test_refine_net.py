from functools import partial

import pytest
import torch
from torch.nn import functional as F

from memvos.errors import InputError
from memvos.model.interface import Memory, Query, Reference
from memvos.model.refine_net import CoarseMask, FrameAlignment, NoFrameAlignment, RefineBlock, RefineNet

CHANNELS = (8, 16, 32)  # fine to coarse


def pyramid(seed: int = 0, batch: int = 1) -> tuple[torch.Tensor, ...]:
    """Base features of 64 × 64 pixels, fine to coarse."""
    generator = torch.Generator().manual_seed(seed)
    shapes = zip(CHANNELS, (16, 8, 4), strict=True)
    return tuple(torch.randn(batch, c, side, side, generator=generator) for c, side in shapes)


def frame(features) -> Query:
    return Query(torch.zeros(len(features[0]), 3, 64, 64), lambda image: features)


def masks(objects: int = 2, batch: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, objects, 64, 64, generator=torch.Generator().manual_seed(seed))


def memory(first, previous, first_of=(0, 0)) -> Memory:
    return Memory(torch.zeros(1), torch.zeros(1), None, tuple(first), first_of, previous)


def test_an_equal_reference_stays_where_it_is():
    features, given = pyramid(), masks()
    align = FrameAlignment(CHANNELS[::-1], ("exact", "exact", "inherit"), alpha=1000.0)
    for level, moved in zip(features[::-1], align(features[::-1], Reference(features, given)), strict=True):
        torch.testing.assert_close(moved.features, level, atol=1e-2, rtol=0)
        torch.testing.assert_close(moved.masks, F.interpolate(given, level.shape[-2:], mode="area"), atol=1e-2, rtol=0)


def test_patches_that_inherit_move_as_exact_ones_do():
    """A reference shifted by one step of the coarsest level, so by whole patches of the others, comes back."""
    features = pyramid()
    shifted = tuple(level.roll(level.shape[-1] // 4, dims=-1) for level in features)
    given = masks()
    for modes in (("exact", "inherit", "inherit"), ("exact", "exact", "exact")):
        aligned = FrameAlignment(CHANNELS[::-1], modes, alpha=1000.0)(
            features[::-1], Reference(shifted, given.roll(16, dims=-1))
        )
        for level, moved in zip(features[::-1], aligned, strict=True):
            torch.testing.assert_close(moved.features, level, atol=5e-2, rtol=0)
            wanted = F.interpolate(given, level.shape[-2:], mode="area")
            torch.testing.assert_close(moved.masks, wanted, atol=5e-2, rtol=0)


def test_without_alignment_references_keep_their_pose():
    features = pyramid()
    assert torch.equal(NoFrameAlignment()(pyramid(1)[::-1], Reference(features, masks()))[2].features, features[0])


@pytest.mark.parametrize("modes", [("inherit", "exact", "exact"), ("exact", "exact"), ("exact", "exact", "bent")])
def test_alignment_modes_that_make_no_sense_are_refused(modes):
    with pytest.raises(InputError, match="expected 3 of exact, inherit, exact first"):
        FrameAlignment(CHANNELS, modes)


def test_the_split_convolution_equals_that_of_everything_joined():
    block = RefineBlock(8, 16)
    features, given = torch.randn(1, 24, 8, 8), torch.rand(2, 3, 8, 8)
    shared = block.features(features).expand(2, -1, -1, -1) + block.masks(given)
    weight = torch.cat([block.features.weight, block.masks.weight], dim=1)
    joined = F.conv2d(torch.cat([features.expand(2, -1, -1, -1), given], dim=1), weight, block.features.bias, padding=1)
    torch.testing.assert_close(shared, joined, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shared_skip", [False, True])
def test_objects_are_refined_each_on_its_own(shared_skip):
    torch.manual_seed(0)
    net = RefineNet(CHANNELS, 16, shared_skip=shared_skip).eval()
    now, coarse = frame(pyramid(0)), F.interpolate(masks(seed=3), (16, 16), mode="area")
    first, previous = Reference(pyramid(1), masks(seed=1)), Reference(pyramid(2), masks(seed=2))
    both = net(now, coarse, memory([first], previous))
    assert both.shape == (1, 2, 64, 64)
    for n in range(2):
        one = [Reference(reference.features, reference.masks[:, n : n + 1]) for reference in (first, previous)]
        alone = net(now, coarse[:, n : n + 1], memory(one[:1], one[1], (0,)))
        torch.testing.assert_close(both[:, n : n + 1], alone, atol=1e-4, rtol=1e-4)


def test_an_object_that_came_later_has_its_own_first_frame():
    torch.manual_seed(0)
    net = RefineNet(CHANNELS, 16).eval()
    now, coarse = frame(pyramid(0)), F.interpolate(masks(seed=3), (16, 16), mode="area")
    early, late = Reference(pyramid(1), masks(1, seed=1)), Reference(pyramid(4), masks(2, seed=4))
    previous = Reference(pyramid(2), masks(seed=2))
    both = net(now, coarse, memory([early, late], previous, (0, 1)))
    alone = net(now, coarse, memory([late], previous, (0, 0)))
    torch.testing.assert_close(both[:, 1], alone[:, 1], atol=1e-4, rtol=1e-4)
    assert (both[:, 0] - alone[:, 0]).abs().max() > 1e-3


def test_clips_of_a_batch_do_not_see_each_other():
    torch.manual_seed(0)
    net = RefineNet(CHANNELS, 16, partial(FrameAlignment, modes=("exact", "inherit", "inherit"))).eval()
    now, coarse = pyramid(0, 2), F.interpolate(masks(2, 2, seed=3), (16, 16), mode="area")
    first, previous = Reference(pyramid(1, 2), masks(2, 2, 1)), Reference(pyramid(2, 2), masks(2, 2, 2))
    both = net(frame(now), coarse, memory([first], previous))
    second = [Reference(tuple(f[1:] for f in r.features), r.masks[1:]) for r in (first, previous)]
    alone = net(frame(tuple(level[1:] for level in now)), coarse[1:], memory(second[:1], second[1]))
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=1e-4)


def test_a_memory_without_references_is_refused():
    with pytest.raises(ValueError, match="carries no reference frames"):
        RefineNet(CHANNELS, 16)(frame(pyramid()), torch.zeros(1, 2, 16, 16), memory([], None))


def test_the_coarse_mask_itself_is_the_result_without_a_refine_net():
    coarse = torch.tensor([0.2, 0.9, 0.0, 1.0]).view(1, 1, 2, 2)
    torch.testing.assert_close(
        CoarseMask(CHANNELS)(frame(pyramid()), coarse, memory([], None)).sigmoid(), coarse, atol=1e-5, rtol=0
    )
