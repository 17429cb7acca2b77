"""Colour changes as matrices on homogeneous RGB (4, 4), so that a chain of them is one pass over the image."""

from __future__ import annotations

import numpy as np

_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def colour_matrix(mean: np.ndarray, brightness: float, contrast: float, saturation: float, hue: float) -> np.ndarray:
    """Brightness, contrast, saturation and hue changes, in this order, as one matrix (4, 4).

    Args:
        mean: mean colour (3,) of the image, the contrast's fixed grey.
        brightness: factor of all values.
        contrast: factor of the distance from the image's mean grey.
        saturation: factor of the distance from the pixel's own grey.
        hue: share of a full turn of the chroma plane (YIQ).
    """
    linear = brightness * np.eye(3)
    offset = np.full(3, (1 - contrast) * brightness * (_GREY @ mean))
    linear = contrast * linear
    mix = saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), _GREY)
    mix = _turn(hue) @ mix
    return _homogeneous(mix @ linear, mix @ offset)


def grey_matrix() -> np.ndarray:
    """Every pixel becomes its own grey, (4, 4)."""
    return _homogeneous(np.outer(np.ones(3), _GREY), np.zeros(3))


def _turn(hue: float) -> np.ndarray:
    cosine, sine = np.cos(2 * np.pi * hue), np.sin(2 * np.pi * hue)
    return _FROM_YIQ @ np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ _TO_YIQ


def _homogeneous(linear: np.ndarray, offset: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, offset
    return matrix
