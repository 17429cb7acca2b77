"""Shapes, in one place: the axis legend, training clips (`Clip`, `ClipBatch`) and their collation.

Axis legend, used in every docstring of memvos:

    B clips · T frames · N objects (background excluded) · M frames in memory
    C / Ck / Cv feature, key and value channels · H W image in pixels
    h w = H/stride W/stride (stride 16 in the papers)

An image is RGB. As `uint8 (H, W, 3)` it is what a file or camera gives; as `float32 (3, H, W)` it is normalised with
the ImageNet mean and deviation (`normalise`). A label map is `uint8 (H, W)`, 0 = background, values = object ids.
Object masks are `float32 (N, H, W)` probabilities in [0, 1], one channel per object, background left out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(image: Tensor) -> Tensor:
    """Turn uint8 RGB (..., H, W, 3) into normalised float32 (..., 3, H, W)."""
    if image.dtype != torch.uint8 or image.shape[-1] != 3:
        raise ValueError(f"expected a uint8 image (..., H, W, 3), got {image.dtype} {tuple(image.shape)}")
    mean, std = (torch.tensor(v, device=image.device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    planes = image.movedim(-1, -3).to(torch.float32, memory_format=torch.contiguous_format)  # then in place: 5 × faster
    return planes.div_(255).sub_(mean).div_(std)


@dataclass(frozen=True)
class Clip:
    """One training sample.

    Attributes:
        frames: (T, 3, H, W) float32, normalised.
        masks: (T, N, H, W) float32 in [0, 1]; the slots of absent objects are zero.
        valid: (N,) bool, which slots hold an object.
        name: where the clip comes from, for messages.
        times: (T,) int64, offsets of the frames to the first in frames of the video; None is 0 … T-1.
    """

    frames: Tensor
    masks: Tensor
    valid: Tensor
    name: str = ""
    times: Tensor | None = None

    def __post_init__(self) -> None:
        frames, masks, valid = self.frames, self.masks, self.valid
        if frames.ndim != 4 or frames.shape[1] != 3:
            raise ValueError(f"clip {self.name!r}: expected frames (T, 3, H, W), got {tuple(frames.shape)}")
        if masks.ndim != 4 or masks.shape[0] != frames.shape[0] or masks.shape[2:] != frames.shape[2:]:
            raise ValueError(
                f"clip {self.name!r}: expected masks (T, N, H, W) that fit frames {tuple(frames.shape)}, "
                f"got {tuple(masks.shape)}"
            )
        if valid.shape != masks.shape[1:2] or valid.dtype != torch.bool:
            raise ValueError(
                f"clip {self.name!r}: expected valid (N={masks.shape[1]},) bool, got {valid.dtype} {tuple(valid.shape)}"
            )


@dataclass(frozen=True)
class ClipBatch:
    """B clips of equal size: frames (B, T, 3, H, W), masks (B, T, N, H, W), valid (B, N), names (B), times (B, T)."""

    frames: Tensor
    masks: Tensor
    valid: Tensor
    names: tuple[str, ...] = ()
    times: Tensor | None = None

    @classmethod
    def collate(cls, clips: list[Clip]) -> ClipBatch:
        """Stack clips; a DataLoader's collate_fn."""
        return cls(
            torch.stack([clip.frames for clip in clips]),
            torch.stack([clip.masks for clip in clips]),
            torch.stack([clip.valid for clip in clips]),
            tuple(clip.name for clip in clips),
            torch.stack([torch.arange(len(clip.frames)) if clip.times is None else clip.times for clip in clips]),
        )

    def time(self, frame: int) -> int | Tensor:
        """Offsets of a frame to the first frame of each clip, (B,) or one for all, in frames of the video."""
        return frame if self.times is None else self.times[:, frame]

    @property
    def labels(self) -> Tensor:
        """(B, T, H, W) int64 targets: 0 = background, n = slot n-1; where masks overlap the later slot wins."""
        inside = self.masks > 0.5
        slots = torch.arange(1, inside.shape[2] + 1, device=inside.device).view(1, 1, -1, 1, 1)
        return (inside * slots).amax(dim=2)

    def to(self, *args, **kwargs) -> ClipBatch:
        """Move the tensors, like `Tensor.to`."""
        return self._apply(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> ClipBatch:
        """Pin the tensors, for a DataLoader with pin_memory."""
        return self._apply(Tensor.pin_memory)

    def _apply(self, change) -> ClipBatch:
        values = (getattr(self, field.name) for field in fields(self))
        return ClipBatch(*(change(value) if isinstance(value, Tensor) else value for value in values))
