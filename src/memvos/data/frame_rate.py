"""What the numbers in the names of frames say: the variant (6 or 30 frames a second), and frames that are missing."""

from __future__ import annotations

import re

import numpy as np

from memvos.data.sequences import Video

GAP = 1.5
"""Times the usual step; rounded times (0.033, 0.067, 0.100) differ by less."""


def variant(video: Video, step: int | None) -> str | None:
    """A message if frames are numbered in other steps than the variant's; None also where no step is demanded."""
    steps = _steps(video)
    if step is None or not steps.size or _usual(steps) == step:
        return None
    got = _usual(steps)
    return (
        f"video {video.name!r} has every {_ordinal(got)} frame ({video.frame_names[0]}, {video.frame_names[1]}, …), "
        f"expected every {_ordinal(step)}; choose variant=all or variant=6fps, or unpack the other variant"
    )


def uneven(video: Video) -> str | None:
    """A message if the numbers of the frames have gaps, steps of at least `GAP` times the usual one."""
    steps = _steps(video)
    usual = _usual(steps) if steps.size else 0
    gaps = np.flatnonzero(steps >= GAP * usual)
    if usual <= 0 or not gaps.size:
        return None
    before, after = video.frame_names[gaps[0]], video.frame_names[gaps[0] + 1]
    return (
        f"video {video.name!r} goes from frame {before} to {after} ({len(gaps)} such gaps); expected steps of "
        f"{usual}; copy the missing frames"
    )


def _steps(video: Video) -> np.ndarray:
    """Differences of the numbers at the ends of the frames' names; empty if one has no number."""
    found = [re.search(r"\d+$", name) for name in video.frame_names]
    return np.diff([int(match.group()) for match in found]) if all(found) else np.empty(0, int)


def _usual(steps: np.ndarray) -> int:
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])


def _ordinal(number: int) -> str:
    return {1: "", 2: "second ", 3: "third "}.get(number, f"{number}th ").strip() or "single"
