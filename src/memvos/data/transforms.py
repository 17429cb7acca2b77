"""Augmentations of training clips, as albumentations transforms (QDMN §4.1 and the released training code).

A clip is one call of an `albumentations.Compose` with `images` uint8 (T, H, W, 3) and `masks` uint8 (T, H, W): both
always go together, with the same geometry. All affine steps of a frame, of the sequence and its own, are one matrix,
and so are all colour steps: each frame is resampled once. Compared with a chain of separate steps this shows the
picture in place of fill where an earlier step would have cut it off, and does not round between steps.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import cv2
import numpy as np

from memvos.data import warps
from memvos.data.colours import colour_matrix, grey_matrix
from memvos.data.warps import MEAN_COLOUR, Map
from memvos.errors import InputError, check_number

Range = tuple[float, float]


class StaticWarp(albumentations.DualTransform):
    """Geometry of pseudo-videos: one image (T = 1) becomes `frames` frames that differ by affine maps, crops and bends.

    For the sequence: scale, flip. For each frame: rotation and shear in degrees, scale, a square crop out of the image
    resized to the crop's size on its shorter side, and with probability `bend` a thin-plate spline of `bend_points`
    control points moved by N(0, `bend_deviation`), in shares of the crop.
    """

    def __init__(
        self,
        size: int,
        frames: int = 3,
        scale: Range = (0.8, 1.5),
        flip: float = 0.5,
        frame_angle: float = 20,
        frame_shear: float = 10,
        frame_scale: Range = (0.9, 1.1),
        bend: float = 0.33,
        bend_points: int = 12,
        bend_deviation: float = 0.02,
    ) -> None:
        """Take the amounts.

        Raises:
            InputError: if one of size, frames, scale, frame_angle and frame_shear is none of its kind.
        """
        check_number("frames", frames, 1)
        _check_geometry(size, scale, frame_angle, frame_shear)
        super().__init__(p=1)
        self.size, self.frames, self.scale, self.flip = size, frames, scale, flip
        self.frame_angle, self.frame_shear, self.frame_scale = frame_angle, frame_shear, frame_scale
        self.bend, self.bend_points, self.bend_deviation = bend, bend_points, bend_deviation

    def get_params_dependent_on_data(self, params: dict, data: dict) -> dict:
        """Draw one map per frame."""
        height, width = data["images"].shape[1:3]
        rng = self.random_generator
        centre = width / 2, height / 2
        mirror = warps.mirroring(width) if rng.random() < self.flip else np.eye(3)
        zoom = 1 / rng.uniform(*self.scale)
        sequence = warps.about(warps.scaling(zoom, zoom), *centre) @ mirror
        return {"maps": [self._frame(rng, sequence, width, height) for _ in range(self.frames)]}

    def _frame(self, rng: np.random.Generator, sequence: np.ndarray, width: int, height: int) -> Map:
        angle = rng.uniform(-self.frame_angle, self.frame_angle)
        shear = rng.uniform(-self.frame_shear, self.frame_shear)
        tilt = warps.about(warps.tilting(angle, shear, rng.uniform(*self.frame_scale)), width / 2, height / 2)
        side = min(width, height)
        corner = rng.uniform(0, width - side), rng.uniform(0, height - side)
        crop = warps.shifting(*corner) @ warps.scaling(side / self.size, side / self.size)
        bent = rng.random() < self.bend
        displacement = warps.random_bend(rng, self.bend_points, self.bend_deviation) if bent else None
        return Map(sequence @ tilt @ crop, displacement)

    def apply_to_images(self, images: np.ndarray, maps: list[Map], **params: object) -> np.ndarray:
        """Resample (1, H, W, 3) to (T, size, size, 3)."""
        image, maps = warps.shrink(images[0], maps)
        return _warp_images([image] * len(maps), maps, self.size)

    def apply_to_masks(self, masks: np.ndarray, maps: list[Map], **params: object) -> np.ndarray:
        """Resample (1, H, W) to (T, size, size)."""
        return _warp_masks([masks[0]] * len(maps), maps, self.size)


class VideoWarp(albumentations.DualTransform):
    """Geometry of video clips.

    For the sequence: flip, and a crop of the share `scale` of the image's area, of width/height within `ratio`, resized
    to a square. For each frame: rotation and shear in degrees.
    """

    def __init__(
        self,
        size: int,
        scale: Range = (0.36, 1.0),
        ratio: Range = (3 / 4, 4 / 3),
        flip: float = 0.5,
        frame_angle: float = 15,
        frame_shear: float = 10,
    ) -> None:
        """Take the amounts.

        Raises:
            InputError: if one of size, scale, frame_angle and frame_shear is none of its kind.
        """
        _check_geometry(size, scale, frame_angle, frame_shear)
        super().__init__(p=1)
        self.size, self.scale, self.ratio, self.flip = size, scale, ratio, flip
        self.frame_angle, self.frame_shear = frame_angle, frame_shear

    def get_params_dependent_on_data(self, params: dict, data: dict) -> dict:
        """Draw one map per frame."""
        count, height, width = data["images"].shape[:3]
        rng = self.random_generator
        mirror = warps.mirroring(width) if rng.random() < self.flip else np.eye(3)
        sequence = mirror @ self._crop(rng, width, height)
        return {"maps": [Map(sequence @ self._tilt(rng)) for _ in range(count)]}

    def _crop(self, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
        for _ in range(10):
            area, ratio = rng.uniform(*self.scale) * width * height, np.exp(rng.uniform(*np.log(self.ratio)))
            across, down = np.sqrt(area * ratio), np.sqrt(area / ratio)
            if across <= width and down <= height:
                break
        else:  # the largest centred crop of an allowed ratio, as torchvision's RandomResizedCrop
            across, down = min(width, height * self.ratio[1]), min(height, width / self.ratio[0])
        corner = rng.uniform(0, width - across), rng.uniform(0, height - down)
        return warps.shifting(*corner) @ warps.scaling(across / self.size, down / self.size)

    def _tilt(self, rng: np.random.Generator) -> np.ndarray:
        angle = rng.uniform(-self.frame_angle, self.frame_angle)
        shear = rng.uniform(-self.frame_shear, self.frame_shear)
        return warps.about(warps.tilting(angle, shear, 1), self.size / 2, self.size / 2)

    def apply_to_images(self, images: np.ndarray, maps: list[Map], **params: object) -> np.ndarray:
        """Resample (T, H, W, 3) to (T, size, size, 3)."""
        shrunk = [warps.shrink(image, [each]) for image, each in zip(images, maps, strict=True)]
        return _warp_images([image for image, _ in shrunk], [each for _, (each,) in shrunk], self.size)

    def apply_to_masks(self, masks: np.ndarray, maps: list[Map], **params: object) -> np.ndarray:
        """Resample (T, H, W) to (T, size, size)."""
        return _warp_masks(masks, maps, self.size)


class ClipColour(albumentations.ImageOnlyTransform):
    """Colour jitter: strengths (brightness, contrast, saturation, hue) for the sequence and for each frame; greying.

    A strength s draws the factor from [1 − s, 1 + s]; the hue is turned by at most s of a full turn. `grey` is the
    probability of a grey sequence.
    """

    def __init__(self, sequence: Sequence[float], frame: Sequence[float], grey: float = 0.05) -> None:
        super().__init__(p=1)
        self.sequence, self.frame, self.grey = tuple(sequence), tuple(frame), grey

    def get_params_dependent_on_data(self, params: dict, data: dict) -> dict:
        """Draw one colour matrix (3, 4) per frame."""
        rng = self.random_generator
        shared = self._draw(rng, self.sequence)
        last = grey_matrix() if rng.random() < self.grey else np.eye(4)
        matrices = []
        for image in data["images"]:
            mean = np.array(cv2.mean(image)[:3])
            first = last @ colour_matrix(mean, *shared)
            mean = first[:3, :3] @ mean + first[:3, 3]
            matrices.append((colour_matrix(mean, *self._draw(rng, self.frame)) @ first)[:3])
        return {"matrices": matrices}

    @staticmethod
    def _draw(rng: np.random.Generator, strengths: Sequence[float]) -> tuple[float, ...]:
        brightness, contrast, saturation, hue = (rng.uniform(-s, s) for s in strengths)
        return 1 + brightness, 1 + contrast, 1 + saturation, hue

    def apply_to_images(self, images: np.ndarray, matrices: list[np.ndarray], **params: object) -> np.ndarray:
        """Recolour (T, H, W, 3)."""
        coloured = np.empty_like(images)
        for image, matrix, out in zip(images, matrices, coloured, strict=True):
            cv2.transform(image, matrix, out)
        return coloured


class Augmentation:
    """A chain of albumentations transforms on whole clips, drawing from the generator of each call."""

    def __init__(self, transforms: Sequence[albumentations.BasicTransform]) -> None:
        self._chain = albumentations.Compose(list(transforms))

    def __call__(
        self, images: np.ndarray, masks: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Augment uint8 (T, H, W, 3) with label maps uint8 (T, H, W); equal generators give equal results."""
        # one stream for the whole chain: Compose(seed=…) would give every transform the same numbers
        self._chain.set_random_state(rng, random.Random(int(rng.integers(2**62))))
        result = self._chain(images=images, masks=masks)
        return result["images"], result["masks"]


def static_transforms(size: int, frames: int = 3) -> list[albumentations.BasicTransform]:
    """The released recipe for pseudo-videos of `frames` frames of `size`×`size` pixels."""
    return [StaticWarp(size, frames), ClipColour((0.1, 0.05, 0.05, 0.05), (0.1, 0.05, 0.05, 0), grey=0.05)]


def video_transforms(size: int) -> list[albumentations.BasicTransform]:
    """The released recipe for video clips of `size`×`size` pixels."""
    return [VideoWarp(size), ClipColour((0.1, 0.03, 0.03, 0), (0.01, 0.01, 0.01, 0), grey=0.05)]


def _check_geometry(size: int, scale: Range, frame_angle: float, frame_shear: float) -> None:
    """Refuse a geometry of which something is no number, or no range."""
    check_number("size", size, 1)
    check_number("frame_angle", frame_angle, 0, whole=False)
    check_number("frame_shear", frame_shear, 0, whole=False)
    if not isinstance(scale, Sequence) or isinstance(scale, str) or len(scale) != 2:
        raise InputError(f"expected scale (data.crop) as [SMALLEST, LARGEST], got {scale!r}")
    for share in scale:
        check_number("scale (data.crop)", share, 0, whole=False, above=True)


def _warp_images(images: Sequence[np.ndarray], maps: list[Map], size: int) -> np.ndarray:
    warped = np.empty((len(maps), size, size, 3), np.uint8)
    for image, each, out in zip(images, maps, warped, strict=True):
        warps.warp(image, each, (size, size), cv2.INTER_LINEAR, MEAN_COLOUR, out)
    return warped


def _warp_masks(masks: Sequence[np.ndarray], maps: list[Map], size: int) -> np.ndarray:
    warped = np.empty((len(maps), size, size), np.uint8)
    for mask, each, out in zip(masks, maps, warped, strict=True):
        warps.warp(mask, each, (size, size), cv2.INTER_NEAREST, (0,), out)
    return warped
