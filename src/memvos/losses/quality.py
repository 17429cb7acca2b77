"""What QAM learns: the mask IoU of every object, by squared error. QDMN §3.2, Eq. 2."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn


def mask_iou(prediction: Tensor, truth: Tensor, empty: float = 0.0, soft_truth: bool = False) -> Tensor:
    """IoU of hard masks (prediction > 0.5), per object.

    Args:
        prediction: probabilities (..., H, W) in [0, 1].
        truth: masks (..., H, W) in [0, 1], of the same shape.
        empty: the value where neither mask has a pixel; 0 as released (an absent object vouches for nothing).
        soft_truth: count the ground truth as released: the intersection takes only pixels that are exactly 1, the area
            sums soft values, so that soft borders lower the IoU. Otherwise truth > 0.5 counts.

    Returns:
        (...) float32 in [0, 1], without gradient.

    Raises:
        ValueError: if the shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"expected masks of one shape, got {tuple(prediction.shape)} and {tuple(truth.shape)}")
    prediction = prediction.detach() > 0.5
    area = truth.float() if soft_truth else (truth > 0.5).float()
    inside = area == 1
    intersection = (prediction & inside).sum(dim=(-2, -1)).float()
    union = prediction.sum(dim=(-2, -1)) + area.sum(dim=(-2, -1)) - intersection
    return (intersection / union.clamp(min=1e-6)).where(union > 0, intersection.new_tensor(empty))


class QualityLoss(nn.Module):
    """Squared error between predicted scores and true mask IoU (Eq. 2), mean over clips."""

    def __init__(
        self, average: Literal["objects", "slots"] = "objects", empty: float = 0.0, soft_truth: bool = False
    ) -> None:
        """Choose how objects are averaged and what counts as IoU.

        Args:
            average: "objects" is Eq. 2, the mean of squared errors over the objects that exist; "slots" is the released
                code, the squared error of the mean over all object slots, empty ones included.
            empty: IoU of an empty prediction with an empty truth (released: 0).
            soft_truth: see `mask_iou` (released: True).

        Raises:
            ValueError: if `average` is unknown or `empty` is not in [0, 1].
        """
        super().__init__()
        if average not in ("objects", "slots"):
            raise ValueError(f"expected average to be 'objects' (Eq. 2) or 'slots' (as released), got {average!r}")
        if not 0 <= empty <= 1:
            raise ValueError(f"expected empty, the IoU of two empty masks, in [0, 1], got {empty}")
        self.average, self.empty, self.soft_truth = average, empty, soft_truth

    def target(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """True IoU (..., N) of predicted probabilities (..., N, H, W) with the ground truth (..., N, H, W)."""
        return mask_iou(prediction, truth, self.empty, self.soft_truth)

    def forward(self, scores: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Return the loss of one frame.

        Args:
            scores: predicted S^A (B, N).
            target: true IoU (B, N).
            valid: (B, N) bool, slots that hold an object.

        Raises:
            ValueError: if the shapes differ.
        """
        if not scores.shape == target.shape == valid.shape:
            shapes = [tuple(value.shape) for value in (scores, target, valid)]
            raise ValueError(f"expected scores, target and valid of one shape (B, N), got {shapes}")
        error = scores.float() - target
        if self.average == "slots":
            return error.mean(dim=1).square().mean()
        return ((error.square() * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)).mean()
