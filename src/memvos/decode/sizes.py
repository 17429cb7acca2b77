"""The sizes a model works at: scaling down, padding to a multiple, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from memvos.errors import InputError, check_number


def read_frame(frame: Any) -> Tensor:
    """A frame as a uint8 tensor (H, W, 3).

    Args:
        frame: tensor, array, or what NumPy makes an array of (a PIL image).

    Raises:
        InputError: if it is not uint8 RGB.
    """
    pixels = frame if isinstance(frame, Tensor) else np.asarray(frame)
    kind, shape = str(pixels.dtype).removeprefix("torch."), tuple(pixels.shape)
    if kind != "uint8" or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise InputError(
            f"expected a frame as uint8 RGB (H, W, 3), got {kind} {shape}; convert it, e.g. with PIL's convert('RGB')"
        )
    if isinstance(pixels, Tensor):
        return pixels
    # torch takes neither flipped (BGR to RGB) nor read-only arrays as they are; NumPy calls C a flipped side of 1 pixel
    pixels = np.require(pixels, requirements=["C", "W"])
    return torch.from_numpy(pixels if min(pixels.strides) > 0 else pixels.copy())


def check_frame_size(size: tuple[int, int], before: tuple[int, int], time: int) -> None:
    """Refuse frame `time`, of `size` (H, W), in a video whose frames before are of another one.

    Raises:
        InputError: if so.
    """
    if size != before:
        got, known = (f"{width}×{height}" for height, width in (size, before))
        raise InputError(
            f"frame {time} is {got} pixels, the frames before are {known}; "
            "resize it, or call reset() to start another video"
        )


@dataclass(frozen=True)
class FrameSize:
    """From the frame's size to the model's and back.

    Attributes:
        size: (H, W) of the video.
        inner: (H, W) after resizing.
        padding: (left, right, top, bottom) zeros up to multiples of the model's `pad_to`; an odd rest puts the larger
            part right and bottom.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    padding: tuple[int, int, int, int]

    @classmethod
    def fit(cls, size: tuple[int, int], pad_to: int, short_side: int | None = None) -> FrameSize:
        """Plan for frames of `size`; those with a larger short side are scaled down to `short_side` pixels.

        Raises:
            InputError: if `short_side` is no number of pixels.
        """
        check_number("short_side", short_side, 1, off=True)
        inner = size
        if short_side is not None and min(size) > short_side:
            inner = tuple(max(1, int(side * short_side / min(size))) for side in size)
        rest = [-side % pad_to for side in inner]
        top, left = rest[0] // 2, rest[1] // 2
        return cls(size, inner, (left, rest[1] - left, top, rest[0] - top))

    @property
    def window(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the frame in the padded image, pixels of the model."""
        left, _, top, _ = self.padding
        return (float(left), float(top), float(left + self.inner[1]), float(top + self.inner[0]))

    def shrink(self, image: Tensor) -> Tensor:
        """(B, C, H, W) image to the model's size: anti-aliased bilinear, then zero padding."""
        if self.inner != self.size:
            image = F.interpolate(image, self.inner, mode="bilinear", align_corners=False, antialias=True)
        return F.pad(image, self.padding)

    def shrink_masks(self, masks: Tensor) -> Tensor:
        """(B, N, H, W) masks to the model's size: nearest, then zero padding; an object too small for that is kept."""
        if self.inner != self.size:
            masks = with_small_ones(F.interpolate(masks, self.inner, mode="nearest-exact"), masks)
        return F.pad(masks, self.padding)

    def crop(self, maps: Tensor) -> Tensor:
        """Take the padding off (B, C, h, w)."""
        left, _, top, _ = self.padding
        return maps[..., top : top + self.inner[0], left : left + self.inner[1]]

    def restore(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) probabilities without padding and, bilinearly, in the video's size."""
        maps = self.crop(maps)
        if self.inner != self.size:
            maps = F.interpolate(maps, self.size, mode="bilinear", align_corners=False)
        return maps


def with_small_ones(shrunk: Tensor, masks: Tensor) -> Tensor:
    """Shrunk masks (B, N, h, w) with pixels of every object of `masks` (B, N, H, W) that fell between the grid.

    No object loses its last pixel to another; where two would need the same one, the later takes the nearest there is.
    """
    lost = masks.flatten(2).any(dim=2) & ~shrunk.flatten(2).any(dim=2)
    if not lost.any():
        return shrunk
    touched, shrunk = F.adaptive_max_pool2d(masks, shrunk.shape[-2:]), shrunk.clone()
    for video, slot in lost.nonzero().tolist():
        maps = shrunk[video]
        taken = _pixels_for(touched[video, slot], maps)
        maps *= ~taken
        maps[slot] = taken
    return shrunk


def _pixels_for(touched: Tensor, maps: Tensor) -> Tensor:
    """Pixels (h, w), bool, for an object that touches some, such that all objects of `maps` (N, h, w) keep one."""
    taken = touched > 0
    for other in (maps > 0).unbind():
        if other.any() and not (other & ~taken).any():
            first = other.nonzero()[0]
            taken[first[0], first[1]] = False
    if taken.any():
        return taken
    seen = maps > 0
    sole = (seen & (seen.flatten(1).sum(dim=1) == 1)[:, None, None]).any(dim=0)
    where = (touched > 0).nonzero()[0]
    rows, columns = (torch.arange(side, device=maps.device) for side in maps.shape[1:])
    distance = ((rows - where[0]).square().unsqueeze(1) + (columns - where[1]).square()).float()
    nearest = distance.masked_fill(sole, torch.inf).flatten().argmin()
    taken.view(-1)[nearest] = not sole.all()
    return taken
