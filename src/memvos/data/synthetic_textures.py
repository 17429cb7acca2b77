"""Textures of the embedded benchmark: 1/f noise, cells, stripes, spots, checks and gradients, coloured by palettes."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from memvos.data.files import read_image

Field = Callable[[np.random.Generator, tuple[int, int], float], np.ndarray]


class Skin:
    """A picture, uint8 (h, w, 3) RGB, that is painted when it is first asked for: most drawn scenes are never shown."""

    def __init__(self, paint: Callable[[], np.ndarray]) -> None:
        """`paint` gives the picture, uint8 or float in grey levels."""
        self._paint = paint

    @cached_property
    def picture(self) -> np.ndarray:
        """The painted picture."""
        return np.ascontiguousarray(np.clip(self._paint(), 0, 255).astype(np.uint8))


def fractal(rng: np.random.Generator, shape: tuple[int, int], exponent: float = 1.5) -> np.ndarray:
    """1/f^exponent noise in [0, 1], float32 (H, W), evenly distributed; where it is smooth, at half the resolution."""
    if exponent >= 1.5:
        small = _noise(rng, (shape[0] // 2 + 1, shape[1] // 2 + 1), exponent)
        return cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return _noise(rng, shape, exponent)


def _noise(rng: np.random.Generator, shape: tuple[int, int], exponent: float) -> np.ndarray:
    height, width = shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None] * width)
    frequency[0, 0] = 1
    spectrum = rng.normal(size=(2, *frequency.shape)) / frequency**exponent
    field = np.fft.irfft2(spectrum[0] + 1j * spectrum[1], s=shape)
    field = (field - field.mean()) / (field.std() + 1e-9)
    return (1 / (1 + np.exp(-1.7 * field))).astype(np.float32)  # about the normal distribution function: evens out


def _clouds(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    return fractal(rng, shape, rng.uniform(1.2, 2.0))


def _cells(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    """Voronoi cells, each of one value, with dark borders."""
    count = max(6, int(shape[0] * shape[1] / (0.8 * grain) ** 2))
    seeds = np.ones(shape, np.uint8)
    seeds[rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)] = 0
    distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    values = rng.uniform(0.15, 1, labels.max() + 1).astype(np.float32)[labels]
    return values * np.clip(1.3 - 0.7 * distance / grain, 0.35, 1)


def _stripes(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    angle, phase = rng.uniform(0, np.pi, 2)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    along = (x * np.cos(angle) + y * np.sin(angle)) / grain + rng.uniform(0.2, 1.2) * fractal(rng, shape, 2.0)
    return (0.5 + 0.5 * np.tanh(2.5 * np.sin(2 * np.pi * along + phase))).astype(np.float32)


def _spots(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    count = max(5, int(shape[0] * shape[1] / (0.9 * grain) ** 2))
    seeds = np.ones(shape, np.uint8)
    seeds[rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)] = 0
    distance = cv2.distanceTransform(seeds, cv2.DIST_L2, 5)
    return np.clip(1.5 - distance / (rng.uniform(0.2, 0.32) * grain), 0, 1).astype(np.float32)


def _checks(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = np.sin(np.pi * u / (0.6 * grain)) * np.sin(np.pi * v / (0.6 * grain))
    return (0.5 + 0.5 * np.tanh(4 * wave)).astype(np.float32)


def _gradient(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    return np.clip(0.5 + 0.4 * (x * np.cos(angle) + y * np.sin(angle)), 0, 1).astype(np.float32)


PATTERNS: tuple[Field, ...] = (_clouds, _cells, _stripes, _spots, _checks, _gradient)


def palette(rng: np.random.Generator, colours: int = 3) -> np.ndarray:
    """A few RGB colours that go together, (colours, 3) float32 in 0 … 255, dark to light."""
    hue = rng.uniform()
    saturation = rng.choice([rng.uniform(0.05, 0.3), rng.uniform(0.25, 0.8)], p=[0.45, 0.55])
    values = np.linspace(rng.uniform(0.1, 0.4), rng.uniform(0.6, 1.0), colours)
    hues = hue + rng.normal(size=colours) * rng.choice([0.03, 0.15])
    return np.float32([colorsys.hsv_to_rgb(h % 1, saturation, v) for h, v in zip(hues, values, strict=True)]) * 255


def contrasting(rng: np.random.Generator, others: list[np.ndarray], tries: int) -> np.ndarray:
    """Draw `tries` palettes and keep the one whose mean colour is farthest from those of `others`."""
    drawn = [palette(rng) for _ in range(tries)]
    means = [other.mean(axis=0) for other in others]
    return max(drawn, key=lambda one: min([np.linalg.norm(one.mean(axis=0) - mean) for mean in means], default=0.0))


def colourise(field: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Map a field in [0, 1] to colours of a palette, float32 (H, W, 3)."""
    stops = np.linspace(0, 1, len(colours))
    table = np.stack([np.interp(np.linspace(0, 1, 256), stops, channel) for channel in colours.T], axis=1)
    return table.astype(np.float32)[(np.clip(field, 0, 1) * 255).astype(np.uint8)]


def surface(rng: np.random.Generator, shape: tuple[int, int], colours: np.ndarray, grain: float) -> np.ndarray:
    """One textured surface, float32 (H, W, 3): a pattern of `grain` pixels with fine detail over it."""
    pattern = PATTERNS[rng.integers(len(PATTERNS))](rng, shape, grain)
    detail = fractal(rng, shape, 0.8)
    return colourise(0.82 * pattern + 0.18 * detail, colours) * (0.85 + 0.3 * detail[..., None])


def patchwork(rng: np.random.Generator, shape: tuple[int, int], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two surfaces, each over about half of the area, with a ragged border, float32 (H, W, 3)."""
    region = np.clip(12 * (fractal(rng, shape, 2.0) - rng.uniform(0.35, 0.65)) + 0.5, 0, 1)[..., None]
    return first + region * (second - first)


MARGIN = 2.0
"""Length of a background as a multiple of the frame's; beyond it the background is mirrored."""


class Backdrop:
    """Draws procedural backgrounds, larger than the frame so that the camera can pan."""

    def __call__(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Skin, np.ndarray]:
        """A background for frames of `size` (H, W), and its palette."""
        shape = tuple(int(MARGIN * length) for length in size)
        grain = np.sqrt(size[0] * size[1]) * rng.uniform(0.06, 0.25)
        colours, others = palette(rng), palette(rng)
        seed = rng.integers(2**31)
        return Skin(lambda: _landscape(np.random.default_rng(seed), shape, colours, others, grain)), np.concatenate(
            [colours, others]
        )


def _landscape(
    rng: np.random.Generator, shape: tuple[int, int], colours: np.ndarray, others: np.ndarray, grain: float
) -> np.ndarray:
    near = surface(rng, shape, colours, grain)
    far = surface(rng, shape, others, 2 * grain)
    return patchwork(rng, shape, near, far) * (0.75 + 0.5 * fractal(rng, shape, 2.2)[..., None])


class PhotoBackdrop:
    """Cuts backgrounds out of photographs."""

    def __init__(self, files: list[Path]) -> None:
        """Take the photographs' files, in an order that does not depend on the machine."""
        self.files = files

    def __call__(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Skin, np.ndarray]:
        """A background for frames of `size` (H, W), and its quartile colours as palette."""
        photo = read_image(self.files[rng.integers(len(self.files))])
        shape = np.array([int(MARGIN * length) for length in size])
        scale = float(np.max(shape / photo.shape[:2])) * rng.uniform(1.0, 1.4)
        width, height = (max(int(np.ceil(photo.shape[axis] * scale)), shape[axis]) for axis in (1, 0))
        photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        top, left = (rng.integers(0, photo.shape[axis] - shape[axis] + 1) for axis in (0, 1))
        photo = photo[top : top + shape[0], left : left + shape[1]]
        return Skin(lambda: photo), np.quantile(photo.reshape(-1, 3), (0.25, 0.5, 0.75), axis=0)
