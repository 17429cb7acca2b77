"""How good predicted quality scores are: correlation with the true IoU, and calibration (QDMN §5.3, Fig. 5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """Predicted scores against true IoU, in equal bins of the predicted score.

    Attributes:
        edges: (bins + 1,) borders of the bins.
        count: (bins,) pairs in each bin.
        predicted, true: (bins,) mean predicted score and mean true IoU; NaN where a bin is empty.
        ece: expected calibration error, the mean of |predicted - true| over bins, weighted by their counts.
        bias: mean predicted score minus mean true IoU; positive: over-confident.
    """

    edges: np.ndarray
    count: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    ece: float
    bias: float


def pearson(predicted: np.ndarray, true: np.ndarray) -> float:
    """Linear correlation of predicted scores and true IoU, both (K,); NaN if either is constant or K < 2.

    Pairs with a NaN are left out.

    Raises:
        ValueError: if the two are not of one shape (K,).
    """
    predicted, true = _pairs(predicted, true)
    if len(predicted) < 2:
        return math.nan
    x, y = predicted - predicted.mean(), true - true.mean()
    scale = math.sqrt((x @ x) * (y @ y))
    constant = np.ptp(predicted) == 0 or np.ptp(true) == 0 or scale == 0
    return math.nan if constant else float(np.clip(x @ y / scale, -1, 1))


def spearman(predicted: np.ndarray, true: np.ndarray) -> float:
    """Rank correlation of predicted scores and true IoU, both (K,); equal values share their mean rank.

    Pairs with a NaN are left out; NaN if either is constant or K < 2.

    Raises:
        ValueError: if the two are not of one shape (K,).
    """
    predicted, true = _pairs(predicted, true)
    return pearson(_ranks(predicted), _ranks(true))


def calibration(predicted: np.ndarray, true: np.ndarray, bins: int = 20) -> Calibration:
    """Calibration curve over `bins` equal bins of [0, 1] (20: the 0.05 steps of QDMN Fig. 5).

    A score outside [0, 1] (an unbounded head) falls into the nearest bin and counts with its value.

    Raises:
        ValueError: if the two are not of one shape (K,), or bins < 1.
    """
    if bins < 1:
        raise ValueError(f"expected at least one bin, got {bins}")
    predicted, true = _pairs(predicted, true)
    bin_of = np.clip(predicted * bins, 0, bins - 1).astype(int)
    count = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_predicted = np.bincount(bin_of, predicted, bins) / count
        mean_true = np.bincount(bin_of, true, bins) / count
    total = len(predicted)
    gaps = np.abs(mean_predicted - mean_true)[count > 0]
    return Calibration(
        edges=np.linspace(0, 1, bins + 1),
        count=count,
        predicted=mean_predicted,
        true=mean_true,
        ece=float(gaps @ count[count > 0] / total) if total else math.nan,
        bias=float(predicted.mean() - true.mean()) if total else math.nan,
    )


def _pairs(predicted, true) -> tuple[np.ndarray, np.ndarray]:
    predicted, true = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
    if predicted.ndim != 1 or predicted.shape != true.shape:
        raise ValueError(f"expected two arrays (K,) of one length, got shapes {predicted.shape} and {true.shape}")
    known = ~(np.isnan(predicted) | np.isnan(true))
    return predicted[known], true[known]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return ((last - count + 1 + last) / 2)[group]
