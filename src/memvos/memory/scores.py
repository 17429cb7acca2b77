"""Scores of the memory bank: frame quality S̄^A (QDMN Eq. 3) and temporal consistency S^C (QDMN Eq. 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

AVERAGES = ("present", "all", "nonzero")


def mean_quality(quality: Sequence[float], present: Sequence[bool], average: str = "present") -> float:
    """Average the objects' quality scores of one frame (numerator of QDMN Eq. 3).

    Args:
        quality: S^A per object, N values.
        present: which of the N objects are to be seen in the frame.
        average: `present` objects only, `all` of them, or the `nonzero` scores (both released scripts differ here).

    Returns:
        The mean; NaN when no object is left to average over.

    Raises:
        ValueError: if `average` is unknown.
    """
    if average not in AVERAGES:
        raise ValueError(f"expected average to be one of {', '.join(AVERAGES)}, got {average!r}")
    if average == "present":
        kept = [score for score, seen in zip(quality, present, strict=True) if seen]
    elif average == "nonzero":
        kept = [score for score in quality if score != 0]
    else:
        kept = list(quality)
    return sum(kept) / len(kept) if kept else math.nan


def normalise(score: float, reference: float, degenerate: str = "raw") -> float:
    """Divide a frame's mean quality by that of the reference frame (QDMN Eq. 3), safely.

    A reference of 0 or NaN (a collapsed quality head) cannot normalise: `raw` then keeps the score as it is, `reject`
    answers NaN, as the released code does, and a NaN passes no threshold. A score of NaN (nothing to see) becomes 0.
    """
    if not math.isfinite(reference) or reference <= 0:
        if degenerate == "reject":
            return math.nan
        reference = 1.0
    return score / reference if math.isfinite(score) else 0.0


def temporal_consistency(now: int, then: int) -> float:
    """S^C = exp(-|now - then|) (QDMN Eq. 4), of frame indices or of relative indices over the stored frames."""
    return math.exp(-abs(now - then))


class FrameScore:
    """Score frames of one video by Eq. 3, and remember what they are divided by. Arguments as in `MemoryBank`."""

    def __init__(self, average: str, reference: str, reference_average: str, degenerate: str) -> None:
        self.average = average
        self.reference = reference
        self.reference_average = reference_average
        self.degenerate = degenerate
        self.reset()

    def reset(self) -> None:
        """Forget the reference."""
        self._parts: dict[int, tuple[float, bool]] = {}  # object slot: its score in the reference frame, and seen there
        self._divisor = math.nan

    @property
    def waits(self) -> bool:
        """Will the next predicted frame be the reference?"""
        return self.reference == "first_predicted" and not self._parts

    def annotate(self, quality: Sequence[float], present: Sequence[bool], given: Sequence[bool]) -> None:
        """A frame with given masks: the objects shown there are referred to it, or the next prediction will be it."""
        if self.reference == "first_predicted":
            self.reset()
        else:
            self._refer(quality, present, given)

    def predicted(self, quality: Sequence[float], present: Sequence[bool]) -> tuple[float, float]:
        """Mean quality of a frame with predicted masks: (as it is, normalised).

        Both are NaN where no score is known, and such a frame is referred to by none.
        """
        if all(map(math.isnan, quality)):
            return math.nan, math.nan
        if not self._parts:
            self._refer(quality, present, [True] * len(quality))
        return self.of(quality, present)

    def of(self, quality: Sequence[float], present: Sequence[bool]) -> tuple[float, float]:
        """Mean quality of a frame: (as it is, normalised); 1 normalised while there is no reference."""
        raw = mean_quality(quality, present, self.average)
        return raw, normalise(raw, self._divisor, self.degenerate) if self._parts else 1.0

    def state_dict(self) -> dict[str, Any]:
        """The reference, as plain values."""
        return {"parts": {slot: list(part) for slot, part in self._parts.items()}, "divisor": self._divisor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a reference."""
        self._parts = {slot: tuple(part) for slot, part in state["parts"].items()}
        self._divisor = state["divisor"]

    def _refer(self, quality: Sequence[float], present: Sequence[bool], given: Sequence[bool]) -> None:
        found = {
            slot: (score, seen)
            for slot, (score, seen, known) in enumerate(zip(quality, present, given, strict=True))
            if known and (seen or slot not in self._parts)  # a mask that says an object is gone is no reference
        }
        self._parts = {**self._parts, **found}
        scores, shown = zip(*self._parts.values(), strict=True)
        self._divisor = mean_quality(scores, shown, self.reference_average)
