"""Smooth random tracks over time, from which clips of the embedded benchmark are put together.

A track is an array whose first axis is the frame. Lengths are in units of the frame's short side, periods in frames.
"""

from __future__ import annotations

import numpy as np

HARMONICS = 3


def wander(rng: np.random.Generator, frames: int, period: float, amplitude: float, shape: tuple = ()) -> np.ndarray:
    """A smooth random function of time with standard deviation `amplitude`, (T, *shape).

    It is a sum of sinusoids whose periods lie between 0.7 and 2 times `period`, so it has no end and no trend.
    """
    size = (HARMONICS, *shape)
    periods = period * rng.uniform(0.7, 2.0, size)
    phases = rng.uniform(0, 2 * np.pi, size)
    weights = rng.normal(size=size)
    weights /= np.sqrt(np.sum(weights**2, axis=0, keepdims=True)) + 1e-9
    time = np.arange(frames).reshape(-1, *(1,) * len(size))
    return amplitude * np.sqrt(2) * np.sum(weights * np.sin(2 * np.pi * time / periods + phases), axis=1)


def drift(rng: np.random.Generator, frames: int, period: float, amplitude: float, shape: tuple = ()) -> np.ndarray:
    """A smooth random function that is 0 in frame 0 and leaves it, (T, *shape); what changes while the clip lasts."""
    track = wander(rng, frames, period, amplitude, shape)
    return track - track[:1]


def pulse(frames: int, centre: float, hold: float, ramp: float) -> np.ndarray:
    """A smooth bump (T,): 1 for `hold` frames around `centre`, down to 0 within `ramp` frames on either side."""
    distance = np.maximum(np.abs(np.arange(frames) - centre) - hold / 2, 0) / ramp
    return np.where(distance < 1, 0.5 + 0.5 * np.cos(np.pi * np.minimum(distance, 1)), 0.0)


def confine(track: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Bend a track (T, 2) smoothly so that it stays within ±limit; near the middle it is unchanged."""
    return limit * np.tanh(track / limit)


def meet(track: np.ndarray, other: np.ndarray, centre: int, hold: float, ramp: float, miss: np.ndarray) -> np.ndarray:
    """Lead a track (T, 2) to another one, `miss` beside it, around the frame `centre`, and back on its own way."""
    weight = pulse(len(track), centre, hold, ramp)[:, None]
    return track + weight * (other + miss - track)


def leave(track: np.ndarray, centre: float, hold: float, ramp: float, edge: float, side: int, back: int) -> np.ndarray:
    """Lead a track (T, 2) out of the frame over a vertical edge around the frame `centre`.

    Args:
        track: positions, (T, 2).
        centre: frame in the middle of the absence.
        hold: frames of full absence.
        ramp: frames which leaving and re-entering take.
        edge: distance from the middle at which nothing of the object is seen.
        side: +1 leaves over the right edge, -1 over the left.
        back: the edge over which it comes back.
    """
    time = np.arange(len(track))
    weight = pulse(len(track), centre, hold, ramp)
    target = np.where(time < centre, side, back) * edge
    moved = track.copy()
    moved[:, 0] += weight * (target - track[:, 0])
    return moved


def jitter(rng: np.random.Generator, frames: int, amplitude: float) -> np.ndarray:
    """A hand-held camera's tremble (T, 2): quick, not quite white, standard deviation `amplitude`."""
    steps = rng.normal(size=(frames + 2, 2))
    return amplitude * (0.25 * steps[:-2] + 0.5 * steps[1:-1] + 0.25 * steps[2:]) / 0.61
