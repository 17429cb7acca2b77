"""Predicted quality beside true IoU in bins of 0.05. QDMN Fig. 5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memvos.report.content import ROW, Table

BINS = 20
EDGES = np.linspace(0, 1, BINS + 1)


@dataclass(frozen=True)
class QualityBins:
    """One row's scores in bins; arrays are (20,), share (20,) sums to 1.

    Attributes:
        row, label: whose.
        count: pairs of object and frame whose predicted score lies in the bin.
        true: mean true IoU of those pairs, NaN in an empty bin.
        predicted_frames, true_frames: share of frames whose mean predicted score, mean true IoU lies in the bin: the
            paper's histogram, where several objects in a frame are averaged.
    """

    row: str
    label: str
    count: np.ndarray
    true: np.ndarray
    predicted_frames: np.ndarray
    true_frames: np.ndarray


def quality_bins(table: Table) -> Iterator[QualityBins]:
    """Bins of every row that predicts scores, over all its seeds."""
    for line in table.of_kind(ROW):
        if "bias" not in line.quality:
            continue
        runs = list(table.results.of(line.row).values())
        predicted, true = np.concatenate([np.stack(run.quality_pairs) for run in runs], axis=1)
        if not len(predicted):
            continue
        place = _bin(predicted)
        count = np.bincount(place, minlength=BINS)
        with np.errstate(invalid="ignore"):
            mean = np.bincount(place, true, BINS) / count
        frames = np.concatenate([run.frame_means for run in runs])
        shares = (np.bincount(_bin(values), minlength=BINS) / len(frames) for values in frames.T)
        yield QualityBins(line.row, line.label, count, mean, *shares)


def _bin(values: np.ndarray) -> np.ndarray:
    """Index of the bin of each value; a score above 1 counts in the last."""
    return np.clip((values * BINS).astype(int), 0, BINS - 1)
