"""Masks that are worse than the predicted ones, for a QAM that has to learn in a short training what poor masks are.

QDMN §3.2 trains QAM on the network's own masks. Those of a few thousand steps fail in few ways: a mask that has leaked
into its surroundings gets as high a score as a good one. Masks moved, turned, stretched, and grown or shrunk at random,
masks that lose a part, and masks that take over a part of another object have every IoU from 0 to 1, and it is known.
Not in the paper.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from memvos.data import warps
from memvos.decode.masks import grown

TURN = 60.0
"""Largest turn, degrees."""
STRETCH = 0.6
"""Largest logarithm of the factor by which a mask is stretched, in x and in y."""
SHIFT = 1.0
"""Farthest a mask is moved, in multiples of its size (the square root of its area)."""
REACH = 0.3
"""Farthest its border is moved in or out, in multiples of its size."""
KEPT = 0.7
"""How often a mask that takes over a part of another stays whole itself."""


class MaskJitter:
    """Spoil each object's mask with probability `share`, from hardly at all to beyond recognition.

    A third of them is jittered, a third loses a part, a third takes over a part of another object (`take_over`).

    Args:
        share: ratio of the masks.

    Raises:
        ValueError: if share is outside [0, 1].
    """

    def __init__(self, share: float) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"expected a share of jittered masks in [0, 1], got {share}")
        self.share = share

    def __call__(self, masks: Tensor, random: np.random.Generator) -> Tensor:
        """Probabilities (B, N, H, W), some of them spoilt; objects that then overlap share their pixels.

        Args:
            masks: probabilities (B, N, H, W) in [0, 1] that add up to 1 at most; left as they are.
            random: what is drawn from.
        """
        spoilt = masks.clone()
        for clip, slot in np.argwhere(random.random(masks.shape[:2]) < self.share):
            match random.integers(3):
                case 0:
                    spoilt[clip, slot] = jitter(spoilt[clip, slot], random)
                case 1:
                    spoilt[clip, slot] = part(spoilt[clip, slot], random)
                case 2:
                    take_over(spoilt, clip, slot, random)
        return spoilt / spoilt.sum(dim=1, keepdim=True).clamp(min=1)


def take_over(masks: Tensor, clip: int, slot: int, random: np.random.Generator) -> None:
    """Add a part of another object to a mask, in place, as where the object was mistaken for a similar one.

    An object of the same clip loses the part. If the slot drawn is the mask's own, it is that slot of any clip.

    Args:
        masks: probabilities (B, N, H, W).
        clip: index of the mask that grows, from 0 to B - 1.
        slot: index of its object, from 0 to N - 1.
        random: what is drawn from.
    """
    mask, other = masks[clip, slot].clone(), random.integers(masks.shape[1])
    source = clip if other != slot else random.integers(masks.shape[0])
    taken = part(masks[source, other], random)
    if source == clip:
        masks[clip, other] -= taken
    kept = mask if random.random() < KEPT else part(mask, random)
    masks[clip, slot] = torch.maximum(kept, taken)


def part(mask: Tensor, random: np.random.Generator) -> Tensor:
    """A random share of a mask (H, W), cut off along a line in a random direction; 0 elsewhere."""
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    way, share = random.uniform(0, 2 * math.pi), random.random()
    if len(rows) == 0:
        return mask.clone()
    y = torch.arange(mask.shape[0], device=mask.device)[:, None]
    x = torch.arange(mask.shape[1], device=mask.device)
    along = math.cos(way) * x + math.sin(way) * y
    return mask * (along <= along[rows, columns].quantile(share))


def jitter(mask: Tensor, random: np.random.Generator) -> Tensor:
    """One mask (H, W), moved, turned, stretched, and grown or shrunk, all at one random strength."""
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    if len(rows) == 0:
        return mask
    centre = float(columns.float().mean()) + 0.5, float(rows.float().mean()) + 0.5
    size, strength = math.sqrt(len(rows)), random.random()
    turn, wide, high = strength * random.uniform(-1, 1, 3)
    form = warps.tilting(TURN * turn, 0, 1) @ warps.scaling(math.exp(STRETCH * wide), math.exp(STRETCH * high))
    way, far = random.uniform(0, 2 * math.pi), SHIFT * size * strength * random.random()
    geometry = warps.about(form, *centre) @ warps.shifting(-far * math.cos(way), -far * math.sin(way))
    moved = _resampled(mask, geometry)
    reach = int(REACH * size * strength * random.uniform(-1, 1))
    return grown(moved, reach) if reach >= 0 else 1 - grown(1 - moved, -reach)


def _resampled(mask: Tensor, geometry: np.ndarray) -> Tensor:
    """The mask (H, W) under an affine map (3, 3) from output to input positions in pixels; zeros come in."""
    height, width = mask.shape
    from_shares = warps.scaling(width / 2, height / 2) @ warps.shifting(1, 1)  # grid_sample's positions are in [-1, 1]
    theta = np.linalg.inv(from_shares) @ geometry @ from_shares
    grid = F.affine_grid(torch.from_numpy(theta[None, :2]).to(mask), [1, 1, height, width], align_corners=False)
    return F.grid_sample(mask[None, None], grid, align_corners=False)[0, 0]
