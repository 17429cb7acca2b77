"""What the memory bank's gate goes by: the predicted quality score, or, to know its worth, the true IoU."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memvos.decode.masks import split_masks, to_tensor
from memvos.decode.sizes import FrameSize
from memvos.model.interface import MemoryFrame


@dataclass(frozen=True)
class Scores:
    """quality (1, N) per object, and present (1, N) bool, the objects that count in the frame's average."""

    quality: Tensor
    present: Tensor


class PredictedQuality:
    """The model's own score S^A (QDMN Eq. 1); objects with an empty mask do not count as present."""

    needs_truth = False

    def __call__(self, record: MemoryFrame, masks: Tensor, truth: Tensor | None) -> Scores:
        """Score a record.

        Args:
            record: what the model memorises of the frame.
            masks: (1, N, H, W) bool, the masks it holds, without padding, in the model's size.
            truth: not used.
        """
        return Scores(record.quality.float(), masks.flatten(2).any(dim=2))


class OracleQuality:
    """The true IoU of each object's mask, in place of a quality module's guess.

    At the same threshold: another one may do more, so that it bounds nothing.

    Ground truth comes in with `Segmenter.step(..., truth=...)`, or from `truth`, a function of the frame's index that
    gives the label map (H, W). It is compared with masks that are already predicted and reaches the bank's decision
    only, never the model. An object neither in the masks nor in the truth does not count; one in either does.

    Data is often annotated on some frames only. Where masks are given they are the truth of their objects, and other
    objects do not count. Where there is none, the scores are NaN, which no threshold lets pass: the frame is not
    stored, and as after any rejection the bank tries the next one (with `retry=False` that of the next interval).
    Without a threshold no truth is needed.
    """

    needs_truth = True

    def __init__(self, truth: Callable[[int], np.ndarray] | None = None) -> None:
        self.truth = truth

    def at(self, time: int) -> np.ndarray | None:
        """The true label map of a frame, None where it is not known."""
        return None if self.truth is None else self.truth(time)

    def __call__(self, record: MemoryFrame, masks: Tensor, truth: Tensor | None) -> Scores:
        """Score a record; `truth` is (1, N, H, W) bool in the size of `masks`, None where it is not known."""
        if truth is None:
            unseen = torch.zeros(masks.shape[:2], dtype=torch.bool, device=masks.device)
            return Scores(torch.full(masks.shape[:2], math.nan, device=masks.device), unseen)
        union = (masks | truth).flatten(2).sum(dim=2)
        overlap = (masks & truth).flatten(2).sum(dim=2)
        return Scores(overlap / union.clamp(min=1), union > 0)


def true_masks(truth: Any, ids: list[int], size: FrameSize, device: torch.device) -> Tensor:
    """True masks (1, N, h, w) bool of the given ids, in the model's size without padding.

    Raises:
        InputError: if `truth` is not a label map in the size of the frame.
    """
    labels = split_masks(truth, size.size, "the true labels", empty=True)
    nothing = np.zeros(size.size, dtype=bool)
    masks = to_tensor({key: labels.get(key, nothing) for key in ids}, device)
    return size.crop(size.shrink_masks(masks)) > 0
