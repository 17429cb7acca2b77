"""What DMN-AOA's matcher learns beside the final masks: coarse masks and the right proposals. After DMM-Net's training.

The paper supervises by cross-entropy alone and does not say what; `coarse` = `match` = 0 supervises the result only.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from memvos.losses.quality import mask_iou

LEAST = 1e-4
"""Coarse masks are clamped to this distance from 0 and 1, so that a wrong one has a finite loss."""


class Found(Protocol):
    """What a matcher found: see `memvos.model.matcher.Match`."""

    coarse: Tensor
    similarity: Tensor | None
    masks: Tensor | None


class NoAuxiliaryLoss(nn.Module):
    """Supervise the masks that come out, and nothing on the way."""

    def forward(self, found: object, masks: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """No losses."""
        return {}


class MatchingLosses(nn.Module):
    """Binary cross-entropy of the coarse masks, and cross-entropy of the choice of proposals.

    Args:
        coarse: weight of the coarse masks; 0 leaves them out.
        match: weight of the choice; 0 leaves it out.
        gamma: sharpness by which similarities become logits of the choice, as in the matching layer.
        least: mask IoU from which the best proposal of an object is the right one; without one it does not count.
    """

    def __init__(self, coarse: float = 0.5, match: float = 0.5, gamma: float = 10.0, least: float = 0.5) -> None:
        super().__init__()
        self.coarse, self.match, self.gamma, self.least = coarse, match, gamma, least

    def forward(self, found: Found, masks: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Weighted losses of one frame, means over the objects of a clip, and then over clips.

        Args:
            found: with coarse masks (B, N, h, w), similarities (B, N, K) and proposals' masks (B, K, h, w).
            masks: true masks (B, N, H, W).
            valid: (B, N) bool, slots that hold an object.
        """
        truth = functional.interpolate(masks.float(), found.coarse.shape[-2:], mode="area")
        losses = {}
        if self.coarse:
            losses["coarse"] = self.coarse * self._of_masks(found.coarse.float(), truth, valid)
        if self.match:
            losses["match"] = self.match * self._of_choice(found, truth, valid)
        return losses

    def _of_masks(self, coarse: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        clamped = coarse.clamp(LEAST, 1 - LEAST)
        error = -(truth * clamped.log() + (1 - truth) * (1 - clamped).log()).mean(dim=(2, 3))
        return _mean(error, valid)

    def _of_choice(self, found: Found, truth: Tensor, valid: Tensor) -> Tensor:
        if found.similarity is None:
            return found.coarse.new_zeros(())
        pairs = torch.broadcast_tensors(found.masks.unsqueeze(1), truth.unsqueeze(2))
        best, right = mask_iou(*pairs).max(dim=2)  # (B, N)
        known = valid & (best >= self.least)
        there = (found.masks > 0.5).flatten(2).any(dim=2).unsqueeze(1)
        logits = (self.gamma * found.similarity.float()).masked_fill(~there, -1e4)
        error = functional.cross_entropy(logits.flatten(0, 1), right.flatten(), reduction="none").view_as(best)
        return _mean(error, known)


def _mean(errors: Tensor, counted: Tensor) -> Tensor:
    """Of (B, N) over the objects that count of each clip, and over clips, so that no batch matters to a clip."""
    return ((errors * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)).mean()
