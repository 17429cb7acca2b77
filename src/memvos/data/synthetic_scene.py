"""What a clip of the embedded benchmark consists of: bodies over a background, a camera, light.

Lengths are in units of the square root of the frame's area, angles in radians, times in frames. The first axis of every
track is the frame (T).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memvos.data.synthetic_shapes import Contour
from memvos.data.synthetic_textures import Skin


@dataclass(frozen=True)
class Body:
    """A textured, deforming thing. Lengths are in units of the square root of the frame's area, angles in radians.

    Attributes:
        contour: its outline over time.
        skin: its texture.
        detail: texture pixels per body unit.
        position: (T, 2) of its origin, x and y from the frame's middle, before the camera.
        radius: (T,) length of a body unit.
        angle: (T,).
        turn: (T,) shift of the texture along the body, in body units: the body shows another side.
        tint: (T, 3) factor of each colour channel.
        label: object id; 0 for what is not to be segmented (look-alikes and occluders).
    """

    contour: Contour
    skin: Skin
    detail: float
    position: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    turn: np.ndarray
    tint: np.ndarray
    label: int = 0


@dataclass(frozen=True)
class Camera:
    """How the camera moves, units as in `Body`.

    Attributes:
        shift: (T, 2) displacement of everything (shake).
        zoom: (T,) magnification of everything.
        roll: (T,) rotation of everything.
        pan: (T, 2) displacement of the background alone: the camera follows the objects.
        shutter: fraction of the time between two frames for which the shutter is open.
    """

    shift: np.ndarray
    zoom: np.ndarray
    roll: np.ndarray
    pan: np.ndarray
    shutter: float

    def centres(self, position: np.ndarray) -> np.ndarray:
        """Positions (T, 2) as the camera shows them."""
        cosine, sine = np.cos(self.roll), np.sin(self.roll)
        x, y = position.T
        return self.zoom[:, None] * np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1) + self.shift


@dataclass(frozen=True)
class Light:
    """Illumination: `gain` (T,) of the whole frame, `slant` (T,) its change across the frame in `direction`."""

    gain: np.ndarray
    slant: np.ndarray
    direction: float


@dataclass(frozen=True)
class Scene:
    """All that is needed to render a clip. `bodies` stand back to front; `noise` is the sensor's, in grey levels."""

    size: tuple[int, int]
    bodies: tuple[Body, ...]
    background: Skin
    camera: Camera
    light: Light
    noise: float
    seed: int

    @property
    def frames(self) -> int:
        """Length in frames."""
        return len(self.light.gain)

    @property
    def unit(self) -> float:
        """Pixels per unit of length."""
        return float(np.sqrt(self.size[0] * self.size[1]))
