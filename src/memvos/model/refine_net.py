"""RefineNet: coarse masks to masks, with the aligned first and previous frames beside. DMN-AOA §3.1.

Levels go from coarse to fine, as the blocks do: stride 16 (8 where the backbone ends there), 8, 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memvos.errors import InputError
from memvos.model.aoa import correspond
from memvos.model.decoder import ResidualBlock
from memvos.model.interface import Memory, Query, Reference
from memvos.model.regions import group_norm

ALIGNMENTS = ("exact", "inherit")
_EPSILON = 1e-6


class Aligned(NamedTuple):
    """A reference frame in the pose of the current one, at one level: features (B, C, h, w), masks (B, N, h, w)."""

    features: Tensor
    masks: Tensor


class FrameAlignment(nn.Module):
    """Align whole reference frames to the current one "in the same manner as AOA" (§3.1).

    Correspondences belong to frames, not objects: each object adds one channel of mask to what is recomposed.

    Args:
        channels: of the base features, coarse to fine.
        modes: for every level, "exact" (its own correspondences) or "inherit" (those of the last exact level, moving
            patches); exact ones at stride 4 need 670 million cosines at 480p.
        shared_channels: of the space where cosines are taken; one 1×1 projection per exact level.
        alpha: sharpness.

    Raises:
        InputError: if there is not one mode per level, one is unknown, or the first inherits.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        modes: tuple[str, ...] = ("exact", "exact", "inherit"),
        shared_channels: int = 64,
        alpha: float = 100.0,
    ) -> None:
        super().__init__()
        if len(modes) != len(channels) or not set(modes) <= set(ALIGNMENTS) or modes[0] != "exact":
            raise InputError(
                f"got alignment modes {list(modes)}; expected {len(channels)} of {', '.join(ALIGNMENTS)}, exact first"
            )
        self.modes, self.alpha = tuple(modes), alpha
        self.projections = nn.ModuleList(
            nn.Conv2d(width, shared_channels, 1) if mode == "exact" else nn.Identity()
            for width, mode in zip(channels, modes, strict=True)
        )

    def forward(self, current: tuple[Tensor, ...], reference: Reference) -> list[Aligned]:
        """Align a reference with features and masks to features (B, C, h, w), each coarse to fine."""
        aligned, found = [], None
        levels = zip(self.modes, self.projections, current, reference.features[::-1], strict=True)
        for mode, project, now, then in levels:
            if mode == "exact":
                found = (_positions(project(now)), _positions(project(then)), now.shape[-2:])
            masks = F.interpolate(reference.masks.to(then.dtype), then.shape[-2:], mode="area")
            aligned.append(self._recompose(*found, torch.cat([then, masks], dim=1), then.shape[1]))
        return aligned

    def _recompose(self, wanted: Tensor, seen: Tensor, grid: tuple[int, int], values: Tensor, width: int) -> Aligned:
        patch = values.shape[-1] // grid[-1]
        rows = _positions(F.pixel_unshuffle(values, patch))
        moved = correspond(wanted, seen, rows, self.alpha).transpose(1, 2).unflatten(2, tuple(grid))
        moved = F.pixel_shuffle(moved, patch)
        return Aligned(moved[:, :width], moved[:, width:])


class NoFrameAlignment(nn.Module):
    """References as they are."""

    def __init__(self, channels: tuple[int, ...] = ()) -> None:
        super().__init__()

    def forward(self, current: tuple[Tensor, ...], reference: Reference) -> list[Aligned]:
        """Features and masks (B, C, h, w), coarse to fine, in their own pose."""
        return [
            Aligned(then, F.interpolate(reference.masks.to(then.dtype), then.shape[-2:], mode="area"))
            for then in reference.features[::-1]
        ]


class RefineBlock(nn.Module):
    """One level: features of three frames with three masks, and what the coarser level found.

    The first convolution, over everything joined, is computed in two parts by linearity: once per frame for the
    features, which objects share, and once per object for its masks.

    Args:
        channels: C of one frame's features.
        width: of the block.
        shared_skip: put the residual block before the masks come in, once per frame (preset `fast`).
    """

    def __init__(self, channels: int, width: int, shared_skip: bool = False) -> None:
        super().__init__()
        self.shared_skip = shared_skip
        self.features = nn.Conv2d(3 * channels, width, 3, padding=1)
        self.masks = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.skip = ResidualBlock(width, width, group_norm)
        self.merge = ResidualBlock(width, width, group_norm)

    def forward(self, features: Tensor, frame_of: Tensor, masks: Tensor, coarser: Tensor | None) -> Tensor:
        """Refine.

        Args:
            features: (F, 3·C, h, w), the distinct combinations of a frame and its references.
            frame_of: (B·N,) int64, the combination that belongs to each object.
            masks: (B·N, 3, h, w).
            coarser: (B·N, width, h', w') of the block before; None at the coarsest level.

        Returns:
            (B·N, width, h, w).
        """
        shared = self.features(features)
        if self.shared_skip:
            seen = self.skip(shared)[frame_of] + self.masks(masks)
        else:
            seen = self.skip(shared[frame_of] + self.masks(masks))
        if coarser is not None:
            seen = seen + F.interpolate(coarser, size=seen.shape[-2:], mode="bilinear", align_corners=False)
        return self.merge(seen)


class RefineNet(nn.Module):
    """Three blocks from stride 16 to 4, a 1×1 convolution to two channels, and their softmax (§3.1).

    Args:
        channels: of the base features, fine to coarse.
        width: of the blocks.
        alignment: makes FrameAlignment or NoFrameAlignment from the channels, coarse to fine.
        shared_skip: see RefineBlock.
    """

    mask_stride = 4

    def __init__(
        self,
        channels: tuple[int, ...],
        width: int = 256,
        alignment: Callable[[tuple[int, ...]], nn.Module] = FrameAlignment,
        shared_skip: bool = False,
    ) -> None:
        super().__init__()
        coarse_first = tuple(channels[::-1])
        self.alignment = alignment(coarse_first)
        self.blocks = nn.ModuleList(RefineBlock(each, width, shared_skip) for each in coarse_first)
        self.predict = nn.Conv2d(width, 2, 1)

    def forward(self, query: Query, coarse: Tensor, memory: Memory) -> Tensor:
        """Logits (B, N, H, W) of each object alone: their sigmoid is the softmax of the two channels.

        Args:
            query: the frame, with base features fine to coarse.
            coarse: (B, N, h, w) coarse masks at stride 4.
            memory: with the first and the previous frame.

        Raises:
            ValueError: if the memory carries no references.
        """
        if memory.previous is None or not memory.first:
            raise ValueError("the memory carries no reference frames; memorize frames with this model first")
        current = tuple(query.features[::-1])
        firsts = [self.alignment(current, reference) for reference in memory.first]
        previous = self.alignment(current, memory.previous)
        batch, objects = coarse.shape[:2]
        first_of = torch.tensor(memory.first_of, device=coarse.device)
        frame_of = (first_of + len(firsts) * torch.arange(batch, device=coarse.device).unsqueeze(1)).flatten()
        x = None
        for level, (block, now) in enumerate(zip(self.blocks, current, strict=True)):
            before = previous[level].features
            sets = [torch.cat([now, first[level].features.to(now), before.to(now)], dim=1) for first in firsts]
            features = torch.stack(sets, dim=1).flatten(0, 1)  # (B·F, 3·C, h, w)
            given = [firsts[index][level].masks[:, n] for n, index in enumerate(memory.first_of)]
            here = F.interpolate(coarse, now.shape[-2:], mode="area") if now.shape[-1] != coarse.shape[-1] else coarse
            masks = torch.stack([here.to(now), torch.stack(given, dim=1).to(now), previous[level].masks.to(now)], dim=2)
            x = block(features, frame_of, masks.flatten(0, 1), x)
        logits = self.predict(F.relu(x)).float()
        alone = (logits[:, 1] - logits[:, 0]).view(batch, objects, *logits.shape[-2:])
        return F.interpolate(alone, query.image.shape[-2:], mode="bilinear", align_corners=False)


class CoarseMask(nn.Module):
    """No RefineNet: the coarse mask, pasted at full size, is the result (row A6)."""

    mask_stride = 1

    def __init__(self, channels: tuple[int, ...] = ()) -> None:
        super().__init__()

    def forward(self, query: Query, coarse: Tensor, memory: Memory) -> Tensor:
        """Logits (B, N, H, W) of coarse masks (B, N, H, W)."""
        return coarse.float().logit(eps=_EPSILON)


def _positions(maps: Tensor) -> Tensor:
    """(B, C, h, w) → (B, h·w, C)."""
    return maps.flatten(2).transpose(1, 2)
