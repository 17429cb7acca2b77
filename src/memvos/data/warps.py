"""Geometry of the augmentations: affine maps and thin-plate splines, and resampling by them.

Positions are (x, y) in pixels, measured from the image's upper left corner (a pixel's centre is at +0.5). A map takes
an output position to an input position: maps are chained by matrix products and every frame is resampled once.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_HALF = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
_BACK = np.linalg.inv(_HALF)
_NODES = 33  # a thin-plate spline is evaluated at 33×33 nodes and interpolated between them
_STIFFNESS = 1e-4  # keeps two control points that happen to lie side by side from tearing the image

MEAN_COLOUR = (124, 116, 104)
"""The ImageNet mean as RGB uint8; fills what lies outside an image."""


@dataclass(frozen=True)
class Map:
    """Output to input positions: an optional bend, then an affine map.

    Attributes:
        matrix: the affine map (3, 3).
        bend: displacements (n, n, 2) of n×n nodes spread evenly over the output, in shares of its size.
    """

    matrix: np.ndarray
    bend: np.ndarray | None = None


def scaling(x: float, y: float) -> np.ndarray:
    """Multiply positions, (3, 3)."""
    return np.array([[x, 0, 0], [0, y, 0], [0, 0, 1.0]])


def shifting(x: float, y: float) -> np.ndarray:
    """Add to positions, (3, 3)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def about(matrix: np.ndarray, x: float, y: float) -> np.ndarray:
    """Let a map act about the point (x, y) in place of the corner."""
    return shifting(x, y) @ matrix @ shifting(-x, -y)


def mirroring(width: float) -> np.ndarray:
    """Swap left and right of an image of this width."""
    return np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1.0]])


def tilting(angle: float, shear: float, scale: float) -> np.ndarray:
    """Map under which the picture is scaled, sheared horizontally and rotated (clockwise), both in degrees."""
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
    slant = np.array([[1, np.tan(np.deg2rad(shear)), 0], [0, 1, 0], [0, 0, 1.0]])
    return np.linalg.inv(rotation @ slant @ scaling(scale, scale))


def random_bend(rng: np.random.Generator, points: int, deviation: float) -> np.ndarray:
    """Displacement of a thin-plate spline with random control points, at 33×33 nodes, in shares of the image size.

    `points` control points lie uniformly over the image; each is moved by N(0, `deviation`) in x and y.
    """
    control = rng.random((points, 2))
    moved = rng.normal(0, deviation, (points, 2))
    steps = np.linspace(0, 1, _NODES)
    nodes = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    return bend(control, moved, nodes).reshape(_NODES, _NODES, 2).astype(np.float32)


def bend(control: np.ndarray, moved: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Thin-plate spline through displacements `moved` (K, 2) at `control` (K, 2), evaluated at `positions` (P, 2)."""
    count = len(control)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _radial(control, control) + _STIFFNESS * np.eye(count)
    system[:count, count], system[:count, count + 1 :] = 1, control
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.vstack([moved, np.zeros((3, 2))]))
    return _radial(positions, control) @ weights[:count] + weights[count] + positions @ weights[count + 1 :]


def _radial(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return 0.5 * squared * np.log(np.maximum(squared, 1e-12))


def shrink(image: np.ndarray, maps: list[Map]) -> tuple[np.ndarray, list[Map]]:
    """Average pixels down by the whole factor by which every map shrinks, so that sampling does not alias."""
    steps = [min(np.hypot(*m.matrix[:2, 0]), np.hypot(*m.matrix[:2, 1])) for m in maps]
    factor = int(min(steps) + 0.1)
    if factor < 2:
        return image, maps
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
    fit = scaling(small.shape[1] / width, small.shape[0] / height)
    return small, [Map(fit @ m.matrix, m.bend) for m in maps]


def warp(
    image: np.ndarray,
    geometry: Map,
    size: tuple[int, int],
    interpolation: int,
    fill: tuple[int, ...],
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Resample (H, W) or (H, W, 3) to `size` = (height, width), into `out` if given; outside the image is `fill`."""
    matrix = _BACK @ geometry.matrix @ _HALF
    settings = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": fill}
    if geometry.bend is None:
        flags = interpolation | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, matrix[:2], size[::-1], out, flags=flags, **settings)
    positions = bent_positions(geometry.bend, size) @ matrix[:2, :2].T.astype(np.float32) + matrix[:2, 2].astype(
        np.float32
    )
    return cv2.remap(image, positions, None, interpolation, out, **settings)


def bent_positions(displacement: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where pixel (x, y) of the output looks, in output pixel indices, float32 (height, width, 2)."""
    height, width = size
    rows, columns = _spread(height, len(displacement)), _spread(width, displacement.shape[1])
    moved = np.einsum("hn,nmc->hmc", rows, displacement)
    moved = np.einsum("wm,hmc->hwc", columns, moved, optimize=True) * np.array([width, height], np.float32)
    moved[..., 0] += np.arange(width, dtype=np.float32)
    moved[..., 1] += np.arange(height, dtype=np.float32)[:, None]
    return moved.astype(np.float32, copy=False)


def _spread(length: int, nodes: int) -> np.ndarray:
    """Linear interpolation weights (length, nodes) of pixel centres between nodes at shares 0 … 1."""
    place = (np.arange(length) + 0.5) / length * (nodes - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(nodes))).astype(np.float32)
