"""The painter of the embedded benchmark: a `Scene` in, frames, label maps and measurements out.

Bodies are painted back to front. Soft edges, shading and motion blur are in the image only; the label map is hard and
shows where a body is in the middle of the exposure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from memvos.data.synthetic_scene import Body, Light, Scene


@dataclass(frozen=True)
class Trace:
    """What was measured of one body in one frame; areas in pixels.

    Attributes:
        amodal: area as if nothing hid it and the frame had no borders.
        inside: the part of it within the frame.
        visible: the part of that which nothing hides.
        foreign: the part of `inside` that unlabelled bodies hide.
        centre: (2,) in pixels.
        blur: length of the motion blur in pixels.
        look: (6,) mean and deviation of the visible pixels' RGB before illumination; NaN where nothing is visible.
    """

    amodal: float
    inside: float
    visible: float
    foreign: float
    centre: np.ndarray
    blur: float
    look: np.ndarray


@dataclass(frozen=True)
class Frame:
    """A rendered frame: image uint8 (H, W, 3) RGB, labels uint8 (H, W), one trace per body."""

    image: np.ndarray
    labels: np.ndarray
    traces: tuple[Trace, ...]


def render(scene: Scene) -> Iterator[Frame]:
    """Render a scene frame by frame."""
    centres = [scene.camera.centres(body.position) * scene.unit for body in scene.bodies]
    drift = scene.camera.centres(scene.camera.pan) * scene.unit
    grain = np.random.default_rng(scene.seed).normal(0, scene.noise, (*(2 * n for n in scene.size), 3))
    grain = grain.astype(np.float32)
    for t in range(scene.frames):
        yield _render(scene, t, centres, drift, grain)


def _render(scene: Scene, t: int, centres: list[np.ndarray], drift: np.ndarray, grain: np.ndarray) -> Frame:
    height, width = scene.size
    image = _background(scene, t, drift)
    owner = np.zeros(scene.size, np.uint8)  # 0 = background, k + 1 = body k
    prints = [
        _paint(scene, body, t, centre, image, owner, index + 1)
        for index, (body, centre) in enumerate(zip(scene.bodies, centres, strict=True))
    ]
    ids = np.array([0, *(body.label for body in scene.bodies)], np.uint8)
    labels = ids[owner]
    traces = tuple(_trace(print_, index + 1, image, owner, labels) for index, print_ in enumerate(prints))
    y, x = (t * 37) % height, (t * 53) % width  # another window of the grain each frame
    image *= _light(scene.light, t, scene.size)
    image += grain[y : y + height, x : x + width]
    return Frame(np.clip(image, 0, 255).astype(np.uint8), labels, traces)


@dataclass(frozen=True)
class _Print:
    """Where a body was painted: its mask within the frame at (y, x), and what else its trace needs."""

    mask: np.ndarray
    corner: tuple[int, int]
    amodal: float
    centre: np.ndarray
    blur: float


def _background(scene: Scene, t: int, drift: np.ndarray) -> np.ndarray:
    height, width = scene.size
    zoom, roll = scene.camera.zoom[t], scene.camera.roll[t]
    cosine, sine = zoom * np.cos(roll), zoom * np.sin(roll)
    x, y = drift[t] + (width / 2, height / 2)
    whole = scene.background.picture
    bottom, right = whole.shape[0] / 2, whole.shape[1] / 2
    matrix = np.array(
        [[cosine, -sine, x - cosine * right + sine * bottom], [sine, cosine, y - sine * right - cosine * bottom]]
    )
    picture = cv2.warpAffine(whole, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return _smear(picture.astype(np.float32), _velocity(drift, t) * scene.camera.shutter)


def _paint(
    scene: Scene, body: Body, t: int, centres: np.ndarray, image: np.ndarray, owner: np.ndarray, mark: int
) -> _Print:
    """Paint a body into `image` (H, W, 3) and `owner` (H, W); objects are measured beyond the frame too."""
    height, width = scene.size
    scale = scene.unit * body.radius[t] * scene.camera.zoom[t]
    smear = _velocity(centres, t) * scene.camera.shutter
    centre = centres[t] + (width / 2, height / 2)
    blur = float(np.hypot(*smear))
    angle = body.angle[t] + scene.camera.roll[t]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    outline = body.contour.points(t) @ turn * scale + centre
    margin = np.abs(smear) / 2 + 2
    x0, y0 = np.floor(outline.min(axis=0) - margin).astype(int)
    x1, y1 = np.ceil(outline.max(axis=0) + margin).astype(int)
    hidden = x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height
    if hidden:
        return _Print(np.zeros((0, 0), bool), (0, 0), np.pi * scale**2, centre, blur)
    if not body.label:
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    colour, coverage = _appearance(body, t, (x0, y0, x1, y1), centre, scale, angle)
    mask = coverage >= 0.5
    top, left, bottom, right = max(y0, 0), max(x0, 0), min(y1, height), min(x1, width)
    window = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
    colour = _smear(colour * coverage[..., None], smear)[window]
    coverage = _smear(coverage, smear)[window]
    target = image[top:bottom, left:right]
    target *= 1 - coverage[..., None]
    target += colour
    owner[top:bottom, left:right][mask[window]] = mark
    return _Print(mask[window], (top, left), float(np.count_nonzero(mask)), centre, blur)


def _appearance(
    body: Body, t: int, box: tuple[int, int, int, int], centre: np.ndarray, scale: float, angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """Colour (h, w, 3) and coverage (h, w) of a body in the pixels of `box` (x0, y0, x1, y1), float32."""
    x = (np.arange(box[0], box[2], dtype=np.float32) + np.float32(0.5 - centre[0])) / np.float32(scale)
    y = (np.arange(box[1], box[3], dtype=np.float32) + np.float32(0.5 - centre[1])) / np.float32(scale)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = cosine * x + sine * y[:, None], cosine * y[:, None] - sine * x
    coverage, depth, (u, v) = body.contour.cover(t, along, across, scale)
    texture = body.skin.picture
    height, width = texture.shape[:2]
    u = (u + np.float32(body.turn[t])) * np.float32(body.detail) + np.float32(width / 2)
    v = v * np.float32(body.detail) + np.float32(height / 2)
    colour = cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101).astype(np.float32)
    shade = 1.08 - 0.3 * np.minimum(depth, 1.1) ** 2 - 0.12 * y[:, None]  # light from above, darker at the rim
    return colour * (shade[..., None] * body.tint[t].astype(np.float32)), coverage


def _trace(print_: _Print, mark: int, image: np.ndarray, owner: np.ndarray, labels: np.ndarray) -> Trace:
    (top, left), (rows, columns) = print_.corner, print_.mask.shape
    window = np.s_[top : top + rows, left : left + columns]
    seen = owner[window] == mark
    visible = int(np.count_nonzero(seen))
    look = np.full(6, np.nan)
    if visible:
        mean, deviation = cv2.meanStdDev(image[window], mask=seen.astype(np.uint8))
        look = np.concatenate([mean.ravel(), deviation.ravel()])
    foreign = np.count_nonzero(print_.mask & ~seen & (labels[window] == 0))
    inside = np.count_nonzero(print_.mask)
    return Trace(print_.amodal, inside, visible, foreign, print_.centre, print_.blur, look)


def _light(light: Light, t: int, size: tuple[int, int]) -> np.ndarray:
    x = np.linspace(-1, 1, size[1], dtype=np.float32) * np.float32(np.cos(light.direction) * light.slant[t])
    y = np.linspace(-1, 1, size[0], dtype=np.float32) * np.float32(np.sin(light.direction) * light.slant[t])
    return (np.float32(light.gain[t]) * (1 + x + y[:, None]))[..., None]


def _velocity(track: np.ndarray, t: int) -> np.ndarray:
    """Movement per frame around frame t of a track (T, 2)."""
    before, after = max(t - 1, 0), min(t + 1, len(track) - 1)
    return (track[after] - track[before]) / max(after - before, 1)


def _smear(picture: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Blur along `path` (x, y in pixels) by averaging shifted copies, twice as many in each step; not below a pixel."""
    length = float(np.hypot(*path))
    if length < 1:
        return picture
    doublings = int(np.ceil(np.log2(length + 1)))
    shifts = np.rint(np.outer(2.0 ** np.arange(doublings) / 2**doublings, path)).astype(int)
    total = np.abs(shifts).sum(axis=0)
    left, top = total // 2
    picture = cv2.copyMakeBorder(picture, top, total[1] - top, left, total[0] - left, cv2.BORDER_REPLICATE)
    for dx, dy in shifts:
        height, width = picture.shape[0] - abs(dy), picture.shape[1] - abs(dx)
        one = picture[max(-dy, 0) :, max(-dx, 0) :][:height, :width]
        two = picture[max(dy, 0) :, max(dx, 0) :][:height, :width]
        picture = cv2.addWeighted(one, 0.5, two, 0.5, 0)
    return picture
