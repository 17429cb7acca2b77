"""Paired bootstrap over seeds and clips: how sure a difference between two rows of a table is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm, t

Scores = Mapping[int, Mapping[tuple[str, str], float]]
"""Of one row: seed → (video, object) → score."""

PRINTS_AS_ZERO = 0.05
GAINS, LOSES, UNDECIDED, UNCHANGED = "gains", "loses", "undecided at this scale", "changes nothing"
FEWEST = 6
"""Clips that can decide anything: of five, all are of one sign by chance in one case of sixteen."""


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval (same unit as the scores), and what it rests on.

    With fewer than two clips there is nothing to resample and the interval is NaN.
    """

    mean: float
    low: float
    high: float
    seeds: int
    clips: int
    objects: int

    def __str__(self) -> str:
        """+1.2 [+0.3, +2.1]; an end that decides the verdict and rounds to zero has the digit that shows its sign."""
        if math.isnan(self.low):
            return f"{signed(self.mean)} [no interval]"
        decided = self.verdict in (GAINS, LOSES)
        low, high = (signed(end) if round(end, 1) or not decided else f"{end:+.1g}" for end in (self.low, self.high))
        return f"{signed(self.mean)} [{low}, {high}]"

    @property
    def in_points(self) -> str:
        """+1.2 points [+0.3, +2.1]."""
        return str(self).replace(" [", " points [", 1)

    @property
    def verdict(self) -> str:
        """Whether all of the interval is on one side of zero, in words; what prints as 0.0 is no change.

        Without an interval, or on fewer than `FEWEST` clips, nothing is decided.
        """
        if math.isnan(self.low) or self.clips < FEWEST:
            return UNDECIDED
        if max(abs(self.mean), abs(self.low), abs(self.high)) < PRINTS_AS_ZERO:
            return UNCHANGED
        if self.low > 0:
            return GAINS
        return LOSES if self.high < 0 else UNDECIDED


def paired_bootstrap(
    scores: Scores, base: Scores, samples: int = 10_000, seed: int = 0, level: float = 0.95
) -> Interval | None:
    """Mean over objects of `scores` minus `base`, with its interval; None if no pair of scores is left.

    Both rows are resampled together: seeds with replacement, and clips with replacement, a clip always with all of its
    objects and under all seeds. Seeds that only one row has and objects with a NaN are left out. The same input gives
    the same interval. Plain percentiles are too narrow where clips are few, by a fifth for ten of them: the ends are
    the expanded percentiles, made for Student's t (Hesterberg, What Teachers Should Know about the Bootstrap, 2015).

    Raises:
        ValueError: if the rows share no seed or were scored on different objects.
    """
    return bootstrap(paired(scores, base), samples, seed, level)


def recovery(own: Scores, best: Scores, samples: int = 10_000, seed: int = 0, level: float = 0.95) -> Interval:
    """Sum of the gains `own` over the sum of the gains `best` (a ratio), with its interval; see `paired_bootstrap`.

    Raises:
        ValueError: if the two do not hold the same seeds and objects, or `best` gains nothing in sum.
    """
    (total, count), (of_best, of_count) = _sums(own), _sums(best)
    if own.keys() != best.keys() or total.shape != of_best.shape or not np.array_equal(count, of_count):
        raise ValueError("own and best gains are of different seeds or objects; evaluate both again")
    if of_best.sum() <= 0:
        raise ValueError(f"nothing to recover: the best gains sum up to {of_best.sum():.3g}")
    low = high = math.nan
    if total.shape[1] > 1:
        drawn = draws(*total.shape, samples, seed)
        sums, of_sums = (_resampled(values, *drawn) for values in (total, of_best))
        low, high = ends(sums[of_sums > 0] / of_sums[of_sums > 0], total.shape[1], level)
    ratio = float(total.sum() / of_best.sum())
    return Interval(ratio, float(low), float(high), *total.shape, int(count.max(axis=0).sum()))


def paired(scores: Scores, base: Scores) -> dict[int, dict[tuple[str, str], float]]:
    """`scores` minus `base`, object by object, for the seeds both have.

    Raises:
        ValueError: if the rows share no seed or were scored on different objects.
    """
    common = sorted(set(scores) & set(base))
    if not common:
        raise ValueError(
            f"no common seed: one row has {_names(scores)}, the other {_names(base)}; run the missing ones"
        )
    for k in common:
        if scores[k].keys() != base[k].keys():
            odd = sorted(set(scores[k]) ^ set(base[k]))[0]
            raise ValueError(f"seed {k}: only one of the rows scored object {odd[1]} of {odd[0]}; evaluate both again")
    return {k: {item: scores[k][item] - base[k][item] for item in scores[k]} for k in common}


def bootstrap(scores: Scores, samples: int = 10_000, seed: int = 0, level: float = 0.95) -> Interval | None:
    """Mean over objects with its interval over seeds and clips, None if every score is NaN; see `paired_bootstrap`."""
    total, count = _sums(scores)
    if not count.sum():
        return None
    mean = float(total.sum() / count.sum())
    seeds, clips = total.shape
    low = high = math.nan
    if clips > 1:
        drawn = draws(seeds, clips, samples, seed)
        sums, counts = (_resampled(values, *drawn) for values in (total, count))
        low, high = ends(sums[counts > 0] / counts[counts > 0], clips, level)
    return Interval(mean, float(low), float(high), seeds, clips, int(count.max(axis=0).sum()))


def ends(drawn: np.ndarray, clips: int, level: float) -> np.ndarray:
    """Ends of the interval: the percentiles further out, the fewer clips there are; see `paired_bootstrap`."""
    tail = norm.cdf(t.ppf((1 - level) / 2, clips - 1) * math.sqrt(clips / (clips - 1)))
    return np.quantile(drawn, [tail, 1 - tail])


@lru_cache(maxsize=4)
def draws(seeds: int, clips: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each seed (samples, seeds) and each clip (samples, clips) is picked."""
    random = np.random.default_rng(seed)
    return tuple(random.multinomial(n, np.full(n, 1 / n), size=samples).astype(float) for n in (seeds, clips))


def _resampled(values: np.ndarray, of_seeds: np.ndarray, of_clips: np.ndarray) -> np.ndarray:
    """Sums (samples,) of values (seeds, clips) over the draws."""
    return np.einsum("rc,rc->r", of_seeds @ values, of_clips)


def _sums(scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the scores that are not NaN, both (seeds, clips); clips without any are left out."""
    clips = sorted({video for of_seed in scores.values() for video, _ in of_seed})
    total, count = np.zeros((len(scores), len(clips))), np.zeros((len(scores), len(clips)))
    place = {clip: i for i, clip in enumerate(clips)}
    for s, of_seed in enumerate(scores.values()):
        for (video, _), value in of_seed.items():
            if not math.isnan(value):
                total[s, place[video]] += value
                count[s, place[video]] += 1
    kept = count.any(axis=0)
    return total[:, kept], count[:, kept]


def signed(number: float) -> str:
    """One decimal and a sign; what rounds to zero is +0.0."""
    return f"{round(number, 1) + 0.0:+.1f}"


def _names(scores: Scores) -> str:
    return "seeds " + ", ".join(map(str, sorted(scores))) if scores else "none"
