"""Soft aggregation of independent object probabilities into one distribution (STM §3.4, used by QDMN)."""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-7
_NEVER = -1e4


def aggregate(probabilities: Tensor, valid: Tensor | None = None) -> Tensor:
    """Join object probabilities to log-odds over background and objects.

    The background's probability is Π(1 - p); all are clamped to [1e-7, 1 - 1e-7] and turned into logits, whose softmax
    (`to_probabilities`) is the aggregated distribution. Computed in float32.

    Args:
        probabilities: (B, N, H, W) in [0, 1], each object on its own.
        valid: (B, N) bool, slots that hold an object; None means all. An invalid slot leaves the background alone and
            gets a logit of -10,000.

    Returns:
        (B, N + 1, H, W) float32 logits, background first.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if probabilities.ndim != 4:
        raise ValueError(f"expected probabilities (B, N, H, W), got {tuple(probabilities.shape)}")
    if valid is not None and valid.shape != probabilities.shape[:2]:
        raise ValueError(f"expected valid (B, N) = {tuple(probabilities.shape[:2])}, got {tuple(valid.shape)}")
    objects = probabilities.float()
    if valid is not None:
        objects = objects.masked_fill(~valid[:, :, None, None], 0.0)
    background = (1 - objects).prod(dim=1, keepdim=True)
    joined = torch.cat([background, objects], dim=1).clamp(_EPSILON, 1 - _EPSILON)
    logits = torch.log(joined / (1 - joined))
    if valid is not None:
        empty = torch.cat([torch.zeros_like(valid[:, :1]), ~valid], dim=1)
        logits = logits.masked_fill(empty[:, :, None, None], _NEVER)
    return logits


def put_in(probabilities: Tensor, masks: Tensor, rows: list[int]) -> Tensor:
    """Put given masks into predicted probabilities: other objects lose the pixels, the rest is aggregated anew.

    Args:
        probabilities: (1, N, H, W), aggregated, background excluded.
        masks: (1, G, H, W) of 0 and 1, without overlap.
        rows: the G slots among N that the masks belong to.

    Returns:
        (1, N + 1, H, W) probabilities, background first.
    """
    joined = probabilities * (1 - masks.amax(dim=1, keepdim=True))
    joined[:, rows] = masks
    return to_probabilities(aggregate(joined))


def winner(probabilities: Tensor) -> Tensor:
    """Argmax over background and objects: (B, N + 1, H, W) to int16 (B, H, W), 0 = background; the first of equals.

    A running maximum: `argmax` over a dimension that is not the last takes ten times as long on a CPU.
    """
    best = probabilities[:, 0]
    index = torch.zeros_like(best, dtype=torch.int16)
    for slot in range(1, probabilities.shape[1]):
        index = index.masked_fill(probabilities[:, slot] > best, slot)
        best = torch.maximum(best, probabilities[:, slot])
    return index


def to_masks(probabilities: Tensor) -> Tensor:
    """(B, N + 1, H, W) probabilities, background first, to (B, N, H, W) bool masks by argmax."""
    slots = torch.arange(1, probabilities.shape[1], device=probabilities.device, dtype=torch.int16)
    return winner(probabilities).unsqueeze(1) == slots.view(1, -1, 1, 1)


def to_probabilities(logits: Tensor) -> Tensor:
    """Softmax over background and objects: (B, N + 1, H, W) logits to float32 probabilities that sum to 1."""
    return logits.float().softmax(dim=1)
