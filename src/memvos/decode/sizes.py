"""The sizes a model works at: scaling down, padding to a multiple, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from memvos.errors import InputError


def read_frame(frame: Any) -> Tensor:
    """A frame as a uint8 tensor (H, W, 3).

    Raises:
        InputError: if it is not uint8 RGB.
    """
    if isinstance(frame, np.ndarray):  # torch takes neither flipped (BGR to RGB) nor read-only arrays as they are
        frame = np.require(frame, requirements=["C", "W"])
    pixels = torch.as_tensor(frame)
    if pixels.dtype != torch.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.numel():
        got = f"{str(pixels.dtype).removeprefix('torch.')} {tuple(pixels.shape)}"
        raise InputError(
            f"expected a frame as uint8 RGB (H, W, 3), got {got}; convert it, e.g. with PIL's convert('RGB')"
        )
    return pixels


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
        """Plan for frames of `size`; those with a larger short side are scaled down to `short_side` pixels."""
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
        """(B, N, H, W) masks to the model's size: nearest, then zero padding."""
        if self.inner != self.size:
            masks = F.interpolate(masks, self.inner, mode="nearest-exact")
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
