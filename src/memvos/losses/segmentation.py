"""Bootstrapped cross-entropy, the segmentation loss. QDMN §4.1 (it comes from MiVOS)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class BootstrappedCrossEntropy(nn.Module):
    """Cross-entropy over the hardest pixels of every frame: all of them first, then fewer and fewer.

    Before `start` optimiser steps every pixel counts; from `start` to `end` the kept fraction falls linearly from 1 to
    `keep` and stays there. The published schedule is 20,000, 70,000 and 0.15. Hard pixels from the first step on teach
    "all background", so a short training shortens the schedule in proportion or leaves it out (`keep` = 1).
    """

    def __init__(self, start: int = 20_000, end: int = 70_000, keep: float = 0.15) -> None:
        """Set the schedule.

        Args:
            start: optimiser step at which the kept fraction begins to fall.
            end: optimiser step from which it is `keep`.
            keep: fraction of the pixels of a frame that count in the end, in (0, 1].

        Raises:
            ValueError: if `keep` is not in (0, 1] or the steps are not 0 ≤ start ≤ end.
        """
        super().__init__()
        if not 0 < keep <= 1:
            raise ValueError(f"expected keep, the fraction of pixels that count, in (0, 1], got {keep}")
        if not 0 <= start <= end:
            raise ValueError(f"expected steps 0 <= start <= end, got start={start}, end={end}")
        self.start, self.end, self.keep = start, end, keep

    def kept_fraction(self, step: int) -> float:
        """Fraction of the pixels of a frame that count at this optimiser step."""
        if step < self.start:
            return 1.0
        if step >= self.end:
            return self.keep
        return 1.0 - (1.0 - self.keep) * (step - self.start) / (self.end - self.start)

    def forward(self, logits: Tensor, labels: Tensor, step: int = 0) -> Tensor:
        """Return the loss of one frame: the mean over kept pixels, then over clips.

        Args:
            logits: aggregated logits (B, N+1, H, W), background first; empty slots carry a very negative logit.
            labels: (B, H, W) int64, 0 = background, n = slot n-1.
            step: optimiser steps done so far.

        Raises:
            ValueError: if labels do not fit the logits.
        """
        if labels.shape != logits[:, 0].shape:
            raise ValueError(
                f"expected labels (B, H, W) = {tuple(logits[:, 0].shape)} for logits {tuple(logits.shape)}, "
                f"got {tuple(labels.shape)}"
            )
        loss = functional.cross_entropy(logits.float(), labels, reduction="none").flatten(1)  # (B, H·W)
        kept = max(1, int(loss.shape[1] * self.kept_fraction(step)))
        if kept == loss.shape[1]:
            return loss.mean()
        return torch.topk(loss, kept, dim=1, sorted=False).values.mean()
