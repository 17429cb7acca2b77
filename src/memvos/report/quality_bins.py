"""Predicted quality beside true IoU in bins of 0.05. QDMN Fig. 5."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from memvos.report.content import ROW, Line, QualityBins
from memvos.report.results import Results

BINS = 20
EDGES = np.linspace(0, 1, BINS + 1)


def quality_bins(lines: Iterable[Line], results: Results) -> Iterator[QualityBins]:
    """Bins of every row that predicts scores, over all its seeds."""
    for line in lines:
        if line.kind != ROW or "bias" not in line.quality:
            continue
        runs = list(results.of(line.row).values())
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
    return np.clip(values * BINS, 0, BINS - 1).astype(int)
