"""One clip of the embedded benchmark: the scene of its seed, rendered and measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memvos.data.synthetic_attributes import measure
from memvos.data.synthetic_levels import LEVELS, level
from memvos.data.synthetic_render import Frame, render
from memvos.data.synthetic_sampling import draw_scene
from memvos.data.synthetic_scene import Scene
from memvos.data.synthetic_textures import Backdrop, PhotoBackdrop
from memvos.errors import InputError

VERSION = 1
"""Any change of what a seed renders raises this number; results of different versions must not be compared."""
SPLITS = ("train", "val", "test")
LEAST_AREA = 0.01
"""Part of the frame that every object covers in frame 0, at least."""
LEAST_SHOWN = 0.6
"""Part of an object's area that is visible in frame 0, at least."""
LEAST_PRESENT = 0.7
"""Part of the frames in which an object's middle lies within the frame, at least."""
ATTEMPTS = 200


@dataclass(frozen=True)
class RenderedClip:
    """images (T, H, W, 3) uint8 RGB, labels (T, H, W) uint8, and the attributes that were measured."""

    images: np.ndarray
    labels: np.ndarray
    attributes: tuple[str, ...]


def render_clip(
    difficulty: str,
    split: str,
    index: int,
    frames: int,
    size: tuple[int, int],
    seed: int = 0,
    backdrop: Backdrop | PhotoBackdrop | None = None,
) -> RenderedClip:
    """Render clip `index` of a split; equal arguments give equal bytes.

    Args:
        difficulty: easy, normal or hard.
        split: train, val or test; their clips come from disjoint seeds.
        index: number of the clip in its split.
        frames: length.
        size: (H, W) in pixels.
        seed: another seed is another benchmark.
        backdrop: where backgrounds come from; None renders them.

    Raises:
        InputError: for an unknown difficulty or split.
    """
    scene = draw_clip(difficulty, split, index, frames, size, seed, backdrop or Backdrop())
    rendered = list(render(scene))
    return RenderedClip(
        np.stack([frame.image for frame in rendered]),
        np.stack([frame.labels for frame in rendered]),
        measure(scene, [frame.traces for frame in rendered]),
    )


def draw_clip(
    difficulty: str,
    split: str,
    index: int,
    frames: int,
    size: tuple[int, int],
    seed: int,
    backdrop: Backdrop | PhotoBackdrop,
) -> Scene:
    """Draw scenes from the clip's seed until one is fit: every object well visible in frame 0, and present later.

    Raises:
        InputError: for an unknown difficulty or split.
        RuntimeError: if no scene fits; a fault of the level's numbers.
    """
    chosen = level(difficulty)
    if split not in SPLITS:
        raise InputError(f"got split={split!r}; expected one of {', '.join(SPLITS)}; correct the split")
    numbers = (VERSION, seed, list(LEVELS).index(difficulty), SPLITS.index(split), index)
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng(np.random.SeedSequence((*numbers, attempt)))
        scene = draw_scene(rng, chosen, frames, size, backdrop)
        if _present(scene) and _fit(scene, next(render(scene))):
            return scene
    raise RuntimeError(f"no scene of {difficulty}/{split}/{index} at {size} is fit after {ATTEMPTS} attempts")


def _fit(scene: Scene, first: Frame) -> bool:
    """Whether every object covers enough of the first frame and little of it is hidden."""
    least = LEAST_AREA * scene.size[0] * scene.size[1]
    objects = [trace for body, trace in zip(scene.bodies, first.traces, strict=True) if body.label]
    return all(trace.visible >= max(least, LEAST_SHOWN * trace.amodal) for trace in objects)


def _present(scene: Scene) -> bool:
    """Whether every object's middle is within the frame often enough."""
    border = np.array(scene.size[::-1]) / scene.unit / 2
    centres = [scene.camera.centres(body.position) for body in scene.bodies if body.label]
    return all(np.mean(np.all(np.abs(centre) <= border, axis=1)) >= LEAST_PRESENT for centre in centres)
