"""Corrupted masks on their way into the memory: an experiment on what the gate is for."""

from __future__ import annotations

from numbers import Real

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from memvos.decode.masks import grown
from memvos.decode.sizes import FrameSize
from memvos.errors import InputError

KINDS = ("shifted", "swapped", "half_lost", "leaked")


class NoCorruption:
    """Memorise what was predicted."""

    def __call__(self, probabilities: Tensor, time: int, salt: int) -> Tensor | None:
        """None: the masks stay as they are."""
        return None


def corrupt(
    source: NoCorruption | MaskCorruption, probabilities: Tensor, size: FrameSize, time: int, salt: int
) -> Tensor | None:
    """Corrupted probabilities (1, N + 1, h, w) with padding, background first; None where the frame is spared."""
    objects = source(size.crop(probabilities[:, 1:]), time, salt)
    if objects is None:
        return None
    objects = F.pad(objects, size.padding)
    return torch.cat([(1 - objects.sum(dim=1, keepdim=True)).clamp(min=0), objects], dim=1)


class MaskCorruption:
    """With probability `rate` a frame that is put to the gate is memorised with corrupted masks.

    What is corrupted: the record offered to the bank, so both the gate's score and, if the gate lets it in, the stored
    memory come from the corrupted masks. What stays clean: the prediction that is put out, the previous mask shown to
    the model, the temporary previous frame, and every annotated frame. So a wrong mask can only do harm through the
    bank, and the experiment isolates the gate.

    All visible objects of a corrupted frame fail, each in one of four ways: `shifted` by about its own size; `swapped`
    with another object, or with a blob of equal area in the background where that one is not to be seen; `half_lost`
    along a line through its centre; `leaked` into its surroundings, about doubling its area.

    Equal for every gate, as they depend on nothing but the seed, t and the video's first mask, and on the slot and the
    number of its objects: whether frame t is corrupted, and, of each object by itself, the kind of its failure, the
    angle of a shift and its length in sizes of the object, the direction of a loss or a leak, the partner of a swap,
    and the blob's place as a ratio of the frame. What each gate has of its own is what it predicted, which these are
    applied to (a shift goes to the side with more room, an object that is not seen does not fail), and which frames
    are put to it.

    Args:
        rate: probability per frame, ratio.
        seed: of the random numbers.

    Raises:
        InputError: if rate is outside [0, 1].
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 <= rate <= 1:
            raise InputError(f"expected a corruption rate in [0, 1], got {rate!r}")
        self.rate = rate
        self.seed = seed

    def __call__(self, probabilities: Tensor, time: int, salt: int) -> Tensor | None:
        """Corrupted object probabilities for frame `time`, or None where the frame is spared.

        Args:
            probabilities: (1, N, H, W), without padding.
            time: the frame's index.
            salt: a number that tells videos apart.
        """
        if np.random.default_rng([self.seed, time, salt]).random() >= self.rate:
            return None
        clean = probabilities[0]
        corrupted = clean.clone()
        for slot, mask in enumerate(clean):
            if _visible(mask):
                # slots from 1 on: NumPy takes a 0 at the end for nothing, and would give the frame's generator again
                random = np.random.default_rng([self.seed, time, salt, slot + 1])
                kind = KINDS[random.integers(len(KINDS))]
                corrupted[slot] = _FAILURES[kind](clean, slot, random)
        return (corrupted / corrupted.sum(dim=0, keepdim=True).clamp(min=1)).unsqueeze(0)


def _visible(mask: Tensor) -> bool:
    return bool((mask > 0.5).any())


def _box(mask: Tensor) -> tuple[float, float, float, float]:
    """Centre (y, x) and size (height, width) in pixels of where a probability map is above one half."""
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    top, bottom, left, right = rows.min().item(), rows.max().item(), columns.min().item(), columns.max().item()
    return (top + bottom) / 2, (left + right) / 2, bottom - top + 1, right - left + 1


def _moved(mask: Tensor, down: int, right: int) -> Tensor:
    """Shift (H, W) by whole pixels; zeros come in at the border."""
    height, width = mask.shape
    down, right = (int(np.clip(step, -side, side)) for step, side in ((down, height), (right, width)))
    padded = F.pad(mask, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))
    return padded[max(-down, 0) : max(-down, 0) + height, max(-right, 0) : max(-right, 0) + width]


def _shifted(clean: Tensor, slot: int, random: np.random.Generator) -> Tensor:
    """Move the mask by 0.75 to 1.25 of its size, towards the side with more room."""
    mask = clean[slot]
    y, x, height, width = _box(mask)
    angle = random.uniform(0, np.pi / 2)
    length = random.uniform(0.75, 1.25)
    down = np.sin(angle) * length * height * (1 if y < mask.shape[0] / 2 else -1)
    right = np.cos(angle) * length * width * (1 if x < mask.shape[1] / 2 else -1)
    return _moved(mask, round(down), round(right))


def _swapped(clean: Tensor, slot: int, random: np.random.Generator) -> Tensor:
    """Take another object's mask, or a disc of the same area centred on the background."""
    turn, *place = random.random(3)
    others = [other for other in range(len(clean)) if other != slot]
    if others and _visible(partner := clean[others[int(turn * len(others))]]):
        return partner
    mask = clean[slot]
    radius = max(1.0, float((mask > 0.5).sum()) / np.pi) ** 0.5
    y, x = _nearest(mask < 0.5, *(ratio * side for ratio, side in zip(place, mask.shape, strict=True)))
    down = torch.arange(mask.shape[0], device=mask.device)[:, None] - y
    right = torch.arange(mask.shape[1], device=mask.device)[None] - x
    disc = (radius - (down**2 + right**2).sqrt() + 0.5).clamp(0, 1)
    return disc * (mask < 0.5)


def _nearest(region: Tensor, y: float, x: float) -> tuple[float, float]:
    """The pixel of a region (H, W) bool that is nearest to a place; the place itself where the region is empty."""
    rows, columns = torch.nonzero(region, as_tuple=True)
    if not len(rows):
        return y, x
    pick = ((rows - y) ** 2 + (columns - x) ** 2).argmin()
    return rows[pick].item(), columns[pick].item()


def _half_lost(clean: Tensor, slot: int, random: np.random.Generator) -> Tensor:
    """Keep the part on one side of a line through the centre of mass."""
    mask = clean[slot]
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    angle = random.uniform(0, 2 * np.pi)
    down = torch.arange(mask.shape[0], device=mask.device)[:, None] - rows.float().mean()
    right = torch.arange(mask.shape[1], device=mask.device)[None] - columns.float().mean()
    return mask * (down * np.sin(angle) + right * np.cos(angle) + 0.5).clamp(0, 1)


def _leaked(clean: Tensor, slot: int, random: np.random.Generator) -> Tensor:
    """Grow into the surroundings, on one side more than on the other, until the area has about doubled."""
    mask = clean[slot]
    wanted = min(2 * int((mask > 0.5).sum()), int(0.9 * mask.numel()))
    angle = random.uniform(0, 2 * np.pi)
    wider = mask
    for reach in range(1, max(mask.shape)):
        wider = grown(wider, 1)  # not the mask by `reach`, which takes a window of its square
        leaked = torch.maximum(mask, _moved(wider, round(reach * np.sin(angle)), round(reach * np.cos(angle))))
        if int((leaked > 0.5).sum()) >= wanted:
            break
    return leaked


_FAILURES = {"shifted": _shifted, "swapped": _swapped, "half_lost": _half_lost, "leaked": _leaked}
