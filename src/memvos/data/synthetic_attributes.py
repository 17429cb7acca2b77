"""Attributes of a clip of the embedded benchmark, measured on what was rendered (names after DAVIS).

A clip has an attribute if one of its objects shows it. What was asked of the renderer plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from memvos.data.synthetic_render import Trace
from memvos.data.synthetic_scene import Scene
from memvos.data.synthetic_shapes import Contour

OCCLUDED = 0.3
"""Hidden part of an object's area within the frame: by anything, or for `foreign-occluder` by unlabelled bodies."""
OUT_OF_VIEW = 0.5
"""Part of an object's area that lies outside of the frame."""
FAST = 0.25
"""Movement per frame as a part of the square root of the object's area, in a tenth of the frames or more."""
BLURRED = 0.12
"""Length of the blur as a part of the square root of the object's area, in a tenth of the frames or more."""
SCALED = 2.0
"""Ratio of an object's largest to its smallest area, hidden parts included."""
RECOLOURED = 30.0
"""Distance in grey levels (`_distance`) of an object's colours to those of frame 0, illumination left out."""
ALIKE = 16.0
"""Distance in grey levels of an object's colours to those of another body, in a quarter of the frames or more."""
SHAKEN = 0.008
"""Deviation of the camera's acceleration per frame², as a part of the square root of the frame's area."""
RELIT = 1.35
"""Ratio of the brightest to the darkest illumination in the middle of the frame."""
DEFORMED = 0.5
"""IoU of an object's outline with that of frame 0, position, size and rotation left out."""
REGION = 0.3
"""Part of an object's area of frame 0 that has to be visible for its colours to be compared."""


def measure(scene: Scene, traces: Sequence[Sequence[Trace]]) -> tuple[str, ...]:
    """Name the attributes of a rendered clip; `traces` holds, for every frame, one trace per body of the scene."""
    columns = list(zip(*traces, strict=True))
    labelled = [index for index, body in enumerate(scene.bodies) if body.label]
    found = {
        "camera-shake": _shake(scene) >= SHAKEN,
        "illumination": scene.light.gain.max() / scene.light.gain.min() >= RELIT,
    }
    for index in labelled:
        others = [column for other, column in enumerate(columns) if other != index]
        contour = scene.bodies[index].contour
        shown = {**_of_object(columns[index]), "similar-objects": any(_alike(columns[index], o) for o in others)}
        shown["deformation"] = min(_overlap(contour, t) for t in range(0, scene.frames, 4)) <= DEFORMED
        for name, value in shown.items():
            found[name] = found.get(name, False) or value
    return tuple(sorted(name for name, value in found.items() if value))


def _of_object(track: Sequence[Trace]) -> dict[str, bool]:
    """Attributes which an object has by itself; `track` holds its trace in every frame."""
    amodal = np.array([trace.amodal for trace in track])
    inside = np.array([trace.inside for trace in track], float)
    visible = np.array([trace.visible for trace in track])
    foreign = np.array([trace.foreign for trace in track])
    size = np.sqrt(amodal)
    within = inside >= 0.2 * amodal  # of a sliver at the border any part is easily hidden
    steps = np.array([np.hypot(*(b.centre - a.centre)) for a, b in pairwise(track)] or [0.0])
    enough = visible >= REGION * visible[0]
    change = [_distance(trace.look, track[0].look) for trace, use in zip(track, enough, strict=True) if use]
    whole = amodal[within]
    return {
        "occlusion": bool(np.any(within & (inside - visible >= OCCLUDED * inside))),
        "foreign-occluder": bool(np.any(within & (foreign >= OCCLUDED * inside))),
        "out-of-view": bool(np.any(amodal - inside >= OUT_OF_VIEW * amodal)),
        "fast-motion": _often(steps >= FAST * size[: len(steps)], 0.1),
        "motion-blur": _often(np.array([trace.blur for trace in track]) >= BLURRED * size, 0.1),
        "scale-variation": bool(whole.size and whole.max() >= SCALED * whole.min()),
        "appearance-change": max(change, default=0.0) >= RECOLOURED,
    }


def _often(happens: np.ndarray, part: float) -> bool:
    return bool(np.mean(happens) >= part)


def _distance(look: np.ndarray, other: np.ndarray) -> float:
    """2-Wasserstein distance of two colour distributions in grey levels per channel, each channel taken as Gaussian."""
    return float(np.sqrt(np.sum((look - other) ** 2) / 3))


def _alike(track: Sequence[Trace], other: Sequence[Trace]) -> bool:
    """Whether another body of comparable size has the object's colours while both are seen."""
    near = [
        min(a.visible, b.visible) >= 0.25 * max(a.visible, b.visible) > 0 and _distance(a.look, b.look) <= ALIKE
        for a, b in zip(track, other, strict=True)
    ]
    return _often(np.array(near), 0.25)


def _shake(scene: Scene) -> float:
    if scene.frames < 3:
        return 0.0
    return float(np.sqrt(np.mean(np.diff(scene.camera.shift, 2, axis=0) ** 2)))


def _overlap(contour: Contour, t: int) -> float:
    """IoU of the outline in frame t with that of frame 0, on a grid of 48×48 points in body coordinates."""
    y, x = np.mgrid[-2.4:2.4:48j, -2.4:2.4:48j].astype(np.float32)
    first, now = (contour.cover(time, x, y, 10.0)[0] >= 0.5 for time in (0, t))
    return np.count_nonzero(first & now) / max(np.count_nonzero(first | now), 1)
