"""Draw random scenes of the embedded benchmark: who is in a clip, how it moves, who meets whom and who leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memvos.data.synthetic_levels import Level
from memvos.data.synthetic_looks import Look, draw_look, twin
from memvos.data.synthetic_motion import confine, drift, jitter, leave, meet, wander
from memvos.data.synthetic_scene import Body, Camera, Light, Scene
from memvos.data.synthetic_shapes import Contour, Outline
from memvos.data.synthetic_textures import Backdrop, PhotoBackdrop

LONGEST_MEETING = 6.0


@dataclass(frozen=True)
class _Setting:
    """What every draw needs: level, frames, pixels per unit of length, half the frame's width and height."""

    rng: np.random.Generator
    level: Level
    frames: int
    unit: float
    extent: np.ndarray


def draw_scene(
    rng: np.random.Generator, level: Level, frames: int, size: tuple[int, int], backdrop: Backdrop | PhotoBackdrop
) -> Scene:
    """Draw a scene of `frames` frames of `size` (H, W) pixels; it may be unfit (see `synthetic_clip.draw_clip`)."""
    unit = float(np.sqrt(size[0] * size[1]))
    setting = _Setting(rng, level, frames, unit, np.array([size[1], size[0]]) / unit / 2)
    background, colours = backdrop(rng, size)
    camera = _camera(setting)
    objects = _objects(setting, [colours])
    bodies = [replace(body, label=number) for number, (body, _) in enumerate(objects, start=1)]
    alike = [_lookalike(setting, *pair) for pair in _some(rng, objects, level.lookalikes)]
    bodies = _meetings(setting, bodies, alike)
    bodies = [_exit(setting, body) for body in bodies]
    occluders = [_occluder(setting, camera, body) for body in _some(rng, bodies, level.occluders)]
    middle = bodies + alike
    order = rng.permutation(len(middle))
    return Scene(
        size=size,
        bodies=(*(middle[index] for index in order), *occluders),
        background=background,
        camera=camera,
        light=_light(setting),
        noise=float(rng.uniform(1, 4)),
        seed=int(rng.integers(2**31)),
    )


def _some(rng: np.random.Generator, population: Sequence, probabilities: tuple[float, ...]) -> list:
    """Members drawn with repetition; `probabilities` are those of drawing 0, 1, 2, … of them."""
    count = rng.choice(len(probabilities), p=probabilities)
    return [population[rng.integers(len(population))] for _ in range(count)]


def _camera(setting: _Setting) -> Camera:
    rng, level, frames = setting.rng, setting.level, setting.frames
    shaking = level.tremble if rng.uniform() < level.shake else 0.0
    pan = drift(rng, frames, rng.uniform(30, 60), rng.uniform(*level.pan), (2,)) * (1.0, 0.4)
    return Camera(
        shift=jitter(rng, frames, shaking) + 0.1 * pan,
        zoom=np.exp(np.clip(drift(rng, frames, 40, level.zoom), -0.3, 0.3)),
        roll=drift(rng, frames, 40, level.zoom / 3) + jitter(rng, frames, shaking / 3)[:, 0],
        pan=pan,
        shutter=float(rng.uniform(*level.shutter)),
    )


def _light(setting: _Setting) -> Light:
    rng, frames, dimming = setting.rng, setting.frames, setting.level.dimming
    return Light(
        gain=np.exp(np.clip(drift(rng, frames, 30, dimming), -0.7, 0.35)),
        slant=wander(rng, frames, 40, dimming / 2),
        direction=float(rng.uniform(0, 2 * np.pi)),
    )


def _body(setting: _Setting, look: Look, radius: float, place: np.ndarray, limit: np.ndarray) -> Body:
    """A body of that look which starts at `place` and wanders about within ±limit."""
    rng, level, frames = setting.rng, setting.level, setting.frames
    path = drift(rng, frames, rng.uniform(*level.period), rng.uniform(*level.travel), (2,))
    turn = min(rng.uniform(*level.turn) * frames / 32, level.turn[1])
    swing = np.sin(np.pi / 4 * drift(rng, frames, 50, 1.0))  # a body turns to and fro, never beyond its texture
    return Body(
        contour=Contour(rng, look.outline, frames, rng.uniform(*level.deformation), rng.uniform(10, 24)),
        skin=look.skin,
        detail=look.detail,
        position=confine(place + path, limit),
        radius=radius * np.exp(np.clip(drift(rng, frames, 34, rng.uniform(*level.growth)), -0.8, 0.8)),
        angle=rng.uniform(0, 2 * np.pi) + drift(rng, frames, 30, level.spin),
        turn=turn * swing,
        tint=np.exp(drift(rng, frames, 36, level.tint, (3,))),
    )


def _objects(setting: _Setting, seen: list[np.ndarray]) -> list[tuple[Body, Look]]:
    """One to four objects, apart from each other in frame 0; `seen` are the palettes that are there already."""
    rng, level = setting.rng, setting.level
    objects: list[tuple[Body, Look]] = []
    for _ in range(1 + rng.choice(len(level.objects), p=level.objects)):
        radius = rng.uniform(*level.radius)
        if objects and rng.uniform() < level.twins:
            look = twin(rng, objects[-1][1])
        else:
            look = draw_look(rng, level, radius * setting.unit, seen)
        seen.append(look.colours)
        place = _place(setting, radius, [body for body, _ in objects])
        objects.append((_body(setting, look, radius, place, setting.extent - 0.3 * radius), look))
    return objects


def _place(setting: _Setting, radius: float, others: list[Body]) -> np.ndarray:
    """A starting point within the frame, (2,): of a few the one that is farthest from the others."""
    points = setting.rng.uniform(-1, 1, (24, 2)) * np.maximum(setting.extent - 0.9 * radius, 0.02)
    gaps = [np.linalg.norm(points - body.position[0], axis=1) - body.radius[0] for body in others]
    return points[np.argmax(np.min(gaps, axis=0))] if gaps else points[0]


def _lookalike(setting: _Setting, body: Body, look: Look) -> Body:
    """An unlabelled body that looks like an object, somewhere else in frame 0."""
    radius = float(body.radius[0]) * setting.rng.uniform(0.8, 1.15)
    place = _place(setting, radius, [body])
    other = _body(setting, twin(setting.rng, look), radius, place, setting.extent + radius)
    return replace(other, tint=body.tint, turn=-body.turn)  # it changes as its model does, so that it stays alike


def _event(setting: _Setting) -> tuple[float, float, float]:
    """Centre, hold and ramp of something that happens after frame 0, all in frames."""
    rng, frames = setting.rng, setting.frames
    ramp = min(rng.uniform(4, 9), frames / 4)
    hold = min(rng.uniform(0, LONGEST_MEETING), frames / 5)
    return rng.uniform(ramp + hold / 2 + 0.5, max(frames - 2, ramp + hold / 2 + 1)), hold, ramp


def _meetings(setting: _Setting, bodies: list[Body], alike: list[Body]) -> list[Body]:
    """Let objects cross each other and their look-alikes."""
    rng, met = setting.rng, list(bodies)
    for index, body in enumerate(bodies):
        others = met[:index] + met[index + 1 :] + alike
        for _ in range(rng.poisson(setting.level.meetings) if others else 0):
            other = others[rng.integers(len(others))]
            miss = rng.normal(size=2) * 0.25 * body.radius[0]
            body = replace(body, position=meet(body.position, other.position, *_event(setting), miss))
        met[index] = body
    return met


def _exit(setting: _Setting, body: Body) -> Body:
    """Let an object leave the frame and come back, now and then on the other side."""
    rng = setting.rng
    if rng.uniform() >= setting.level.exits:
        return body
    side = int(rng.choice([-1, 1]))
    back = -side if rng.uniform() < 0.2 else side
    edge = setting.extent[0] + 1.9 * body.radius.max()
    return replace(body, position=leave(body.position, *_event(setting), edge, side, back))


def _occluder(setting: _Setting, camera: Camera, target: Body) -> Body:
    """A foreign body in front that hides the target once: a pole that stands there, or a thing that drifts by."""
    rng, frames = setting.rng, setting.frames
    radius = float(target.radius[0])
    moment = int(_event(setting)[0])
    look = draw_look(rng, setting.level, 1.4 * radius * setting.unit, [])
    if rng.uniform() < 0.5:
        outline, size, angle = Outline.pole(rng), rng.uniform(0.3, 0.42), np.pi / 2 + rng.normal() * 0.12
        path = 1.2 * (camera.pan - camera.pan[moment])  # nearer than the background, so it moves more
    else:
        outline, size, angle = look.outline, radius * rng.uniform(0.6, 1.2), rng.uniform(0, 2 * np.pi)
        speed = rng.choice([-1, 1]) * rng.uniform(0.02, 0.06) * np.array([1.0, rng.normal() * 0.3])
        path = (np.arange(frames) - moment)[:, None] * speed
    return Body(
        contour=Contour(rng, outline, frames, 0.0, 20),
        skin=look.skin,
        detail=look.detail,
        position=target.position[moment] + path,
        radius=np.full(frames, size),
        angle=np.full(frames, angle),
        turn=np.zeros(frames),
        tint=np.ones((frames, 3)),
    )
