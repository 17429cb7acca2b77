"""`memvos bench metrics`: milliseconds for J and F of an object on a frame, ours and the published toolkit's, in turns.

The peer is the evaluator of the package vos-benchmark, whose arithmetic is that of the DAVIS toolkit. It is installed
without its dependencies (`pip install --no-deps vos-benchmark`): of scikit-image it needs the disk only, given here.
"""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from memvos.app.bench_common import alternate
from memvos.errors import InputError
from memvos.metrics import SequenceScorer

SIZE = (480, 854)
FRAMES = 12
Labels = list[tuple[np.ndarray, np.ndarray]]
"""(truth, prediction) of every frame, uint8 (H, W)."""


def table(rounds: int) -> Iterator[str]:
    """The lines of the table.

    Raises:
        InputError: if the peer is not installed, or its scores are others.
    """
    evaluator = peer()
    cv2.setNumThreads(1)
    yield f"J and F at {SIZE[1]}×{SIZE[0]}, milliseconds of one core (processor time) per object and frame"
    yield f"{'objects':>8}{'memvos':>10}{'vos-benchmark':>15}{'ratio':>8}{'difference':>12}"
    for objects in (1, 3, 7):
        labels = scene(objects)
        works = {
            "ours": [lambda labels=labels, objects=objects: ours(labels, objects)],
            "peer": [lambda labels=labels: theirs(evaluator, labels)],
        }
        seconds = alternate(works, rounds, time.process_time)
        mine, other = (1000 * seconds[name][0] / (FRAMES * objects) for name in ("ours", "peer"))
        apart = difference(ours(labels, objects), theirs(evaluator, labels))
        if apart > 1e-6:
            raise InputError(f"scores differ from the peer's by {apart}; expected none; install vos-benchmark 0.1.0")
        yield f"{objects:8d}{mine:10.2f}{other:15.2f}{other / mine:8.1f}{apart:12.1e}"


def scene(objects: int) -> Labels:
    """Frames in which objects of many sizes with rough outlines move, and predictions that lag behind."""
    rng = np.random.default_rng(objects)
    shapes = [_outline(rng, SIZE[0] * share) for share in rng.uniform(0.1, 0.32, objects)]
    starts, speeds = rng.uniform(0.2, 0.8, (objects, 2)) * SIZE[::-1], rng.uniform(-6, 6, (objects, 2))
    frames = [np.zeros(SIZE, np.uint8) for _ in range(FRAMES + 1)]
    for t, frame in enumerate(frames):
        for key, (shape, start, speed) in enumerate(zip(shapes, starts, speeds, strict=True), start=1):
            cv2.fillPoly(frame, [(shape + start + t * speed).astype(np.int32)], key)
        for key, start in enumerate(starts, start=1):  # nobody is hidden entirely
            cv2.circle(frame, tuple(int(place) for place in start), 12, key, -1)
    return list(zip(frames[1:], frames[:-1], strict=True))


def _outline(rng: np.random.Generator, radius: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    waves = sum(rng.normal(0, 0.12) * np.cos(k * angles + rng.uniform(0, 6)) for k in (2, 3, 5, 9, 14))
    return np.stack([np.cos(angles), np.sin(angles)], 1) * (radius * (1 + waves))[:, None]


def ours(labels: Labels, objects: int) -> dict[int, list[tuple[float, float]]]:
    """J and F per object and frame."""
    scorer = SequenceScorer("bench", range(1, objects + 1))
    frames = [scorer.add(truth, prediction) for truth, prediction in labels]
    return {key: [frame[key] for frame in frames] for key in scorer.objects}


def theirs(evaluator: Callable[[], Any], labels: Labels) -> dict[int, list[tuple[float, float]]]:
    """The same by the peer."""
    made = evaluator()
    for truth, prediction in labels:
        made.feed_frame(prediction, truth)
    return {key: list(zip(made.object_iou[key], made.boundary_f[key], strict=True)) for key in made.object_iou}


def difference(first: dict[int, Any], second: dict[int, Any]) -> float:
    """The largest difference of two results."""
    return max(float(np.abs(np.array(first[key]) - np.array(second[key])).max()) for key in first)


def peer() -> Callable[[], Any]:
    """The peer's evaluator.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import skimage.morphology  # noqa: F401
    except ImportError:
        morphology = types.ModuleType("skimage.morphology")
        morphology.disk = disk
        sys.modules.update({"skimage": types.ModuleType("skimage"), "skimage.morphology": morphology})
    try:
        from vos_benchmark.evaluator import Evaluator
    except ImportError as fault:
        raise InputError(
            "the peer is not installed; expected the package vos-benchmark: pip install --no-deps vos-benchmark==0.1.0"
        ) from fault
    return Evaluator


def disk(radius: float) -> np.ndarray:
    """x² + y² ≤ radius², uint8."""
    y, x = np.mgrid[-int(radius) : int(radius) + 1, -int(radius) : int(radius) + 1]
    return (x**2 + y**2 <= radius**2).astype(np.uint8)
