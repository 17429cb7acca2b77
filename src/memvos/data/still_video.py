"""`StillVideo`: one static image as a short video, so that a set of static images can be evaluated."""

from __future__ import annotations

import zlib

import cv2
import numpy as np

from memvos.data import warps
from memvos.data.cache import put
from memvos.data.sequences import StaticImage, Video

FRAMES = 8
ANGLE, SHEAR, GROWTH, SHIFT = 20.0, 10.0, 0.1, 0.15
"""Largest change from the first to the last frame: degrees, degrees, share of the size, share of width and height."""


class StillVideo(Video):
    """A static image that turns, shears, grows and moves evenly over `FRAMES` frames; the first is the image itself.

    Where to is drawn from the image's name alone, within the limits of the pseudo-videos of the pretraining (QDMN
    §4.1). What lies outside the image has its mean colour and is background.
    """

    def __init__(self, still: StaticImage) -> None:
        """Take the image with its mask."""
        names = [f"{t:05d}" for t in range(FRAMES)]
        masks = dict.fromkeys(names, still.mask_path)
        super().__init__(still.name, [still.image_path] * FRAMES, masks, still.mask_format, frame_names=names)
        self._still = still
        rng = np.random.default_rng(zlib.crc32(still.name.encode()))
        limits = np.array([ANGLE, SHEAR, GROWTH, SHIFT, SHIFT])
        self._course = rng.uniform(-limits, limits)

    def image(self, t: int, out: np.ndarray | None = None) -> np.ndarray:
        """Frame t, RGB uint8 (H, W, 3); in `out` where that has the size."""
        moved = self._moved(self._still.image(), t, cv2.INTER_LINEAR, warps.MEAN_COLOUR)
        return moved if out is None else put(moved, out)

    def labels(self, t: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """Label map of frame t, uint8 (H, W), 0 = background; `size` as in `Video.labels`.

        Raises:
            InputError: as `StaticImage.labels`.
        """
        return self._moved(self._still.labels(size), t, cv2.INTER_NEAREST, (0,))

    def _moved(self, values: np.ndarray, t: int, interpolation: int, fill: tuple[int, ...]) -> np.ndarray:
        if t == 0:
            return values
        angle, shear, growth, across, down = self._course * (t / (FRAMES - 1))
        height, width = values.shape[:2]
        tilt = warps.about(warps.tilting(angle, shear, 1 + growth), width / 2, height / 2)
        geometry = warps.Map(tilt @ warps.shifting(across * width, down * height))
        return warps.warp(values, geometry, (height, width), interpolation, fill)
