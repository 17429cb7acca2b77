"""How sure the rank correlation of predicted scores and true IoU is."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from memvos.report.compare import Interval, draws, ends

Pairs = Mapping[int, Mapping[str, np.ndarray]]
"""Of one row: seed → video → predicted score and true IoU of its masks, (K, 2)."""


def rank_correlation(pairs: Pairs, samples: int = 1_000, seed: int = 0, level: float = 0.95) -> Interval | None:
    """Spearman of predicted scores and true IoU, mean over seeds, with its interval; see `paired_bootstrap`.

    Seeds whose scores are constant have none and are left out; None if none is left.
    """
    ranked = {key: _Ranked(of_seed) for key, of_seed in pairs.items()}
    found = {key: rho for key, one in ranked.items() if not math.isnan(rho := one.correlation())}
    if not found:
        return None
    clips = sorted(set.union(*(set(pairs[key]) for key in found)))
    low = high = math.nan
    if len(clips) > 1:
        of_seeds, of_clips = draws(len(found), len(clips), samples, seed)
        each = [
            [ranked[key].correlation(dict(zip(clips, picked, strict=True))) for key in found] for picked in of_clips
        ]
        known = ~np.isnan(each)
        drawn, weight = np.einsum("rs,rs->r", of_seeds, np.where(known, each, 0)), (of_seeds * known).sum(axis=1)
        low, high = ends(drawn[weight > 0] / weight[weight > 0], len(clips), level)
    masks = max(len(ranked[key].clip) for key in found)
    return Interval(float(np.mean([*found.values()])), float(low), float(high), len(found), len(clips), masks)


class _Ranked:
    """Score and IoU of the masks of one seed, sorted once, so that clips can be drawn often."""

    def __init__(self, of_clips: Mapping[str, np.ndarray]) -> None:
        self.names = list(of_clips)
        self.clip = np.repeat(np.arange(len(self.names)), [len(values) for values in of_clips.values()])
        values = np.concatenate([np.empty((0, 2)), *of_clips.values()])
        self._groups = [np.unique(column, return_inverse=True)[1] for column in values.T]

    def correlation(self, picked: Mapping[str, float] | None = None) -> float:
        """Spearman where each clip is there as often as it was picked (None: once); NaN if either is constant."""
        often = np.array([1.0 if picked is None else picked[name] for name in self.names])[self.clip]
        x, y = (self._centred(group, often) for group in self._groups)
        scale = math.sqrt((often * x) @ x * ((often * y) @ y)) if len(often) else 0.0
        return float(np.clip((often * x) @ y / scale, -1, 1)) if scale > 0 else math.nan

    @staticmethod
    def _centred(group: np.ndarray, often: np.ndarray) -> np.ndarray:
        """Mean ranks minus their mean; equal values share a rank."""
        count = np.bincount(group, often)
        return (np.cumsum(count) - count / 2)[group] - often.sum() / 2
