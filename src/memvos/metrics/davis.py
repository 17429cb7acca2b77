"""Region similarity J and boundary accuracy F of DAVIS (Perazzi et al., CVPR 2016); as the official toolkit does."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from memvos.metrics import bits

BOUNDARY_TOLERANCE = 0.008
"""Distance within which two boundaries match, as a ratio of the image diagonal."""


def region_similarity(gt: np.ndarray, prediction: np.ndarray, void: np.ndarray | None = None) -> float | np.ndarray:
    """Intersection over union J; 1 where both masks are empty.

    Args:
        gt: true mask, bool (H, W), or (T, H, W) for T frames.
        prediction: predicted mask of the same shape.
        void: pixels that do not count, of the same shape.

    Returns:
        A ratio in [0, 1], or (T,) of them.

    Raises:
        ValueError: if a mask is not boolean (or 0/1), has other than 2 or 3 axes or no pixel, or the shapes differ.
    """
    return _of_frames(lambda pair: pair.j, gt, prediction, void)


def boundary_accuracy(
    gt: np.ndarray,
    prediction: np.ndarray,
    void: np.ndarray | None = None,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> float | np.ndarray:
    """F: harmonic mean of precision and recall of the boundary pixels; 1 where neither mask has a boundary.

    A boundary pixel matches when the other mask has a boundary pixel within ceil(tolerance × image diagonal) pixels
    (Euclidean). With one boundary empty F is 0.

    Args:
        gt: true mask, bool (H, W), or (T, H, W) for T frames.
        prediction: predicted mask of the same shape.
        void: pixels that do not count, of the same shape; background in both masks.
        tolerance: ratio of the image diagonal.

    Returns:
        A ratio in [0, 1], or (T,) of them.

    Raises:
        ValueError: if a mask is not boolean (or 0/1), has other than 2 or 3 axes or no pixel, the shapes differ, or the
            tolerance is no ratio.
    """
    if not 0 <= tolerance <= 1:
        raise ValueError(
            f"expected tolerance as a ratio of the image diagonal, from 0 to 1, got {tolerance}; divide pixels by it"
        )
    return _of_frames(lambda pair: pair.f(tolerance), gt, prediction, void)


class MaskPair:
    """A true and a predicted mask of an image of `size` = (H, W), packed (`memvos.metrics.bits`), for J and F."""

    def __init__(self, gt: np.ndarray, prediction: np.ndarray, size: tuple[int, int]) -> None:
        self._size = size
        self._both, self._width = bits.crop(gt, prediction, size[1])

    @property
    def present(self) -> bool:
        """The true mask is not empty."""
        return bool(self._both[0].any())

    @property
    def j(self) -> float:
        """As `region_similarity`."""
        gt, prediction = self._both
        union = bits.count(gt | prediction)
        return bits.count(gt & prediction) / union if union else 1.0

    def f(self, tolerance: float = BOUNDARY_TOLERANCE) -> float:
        """As `boundary_accuracy`."""
        return bits.boundary_f(self._both, self._width, math.ceil(tolerance * math.hypot(*self._size)))


def statistics(per_frame: np.ndarray) -> tuple[float, float, float]:
    """Mean, recall and decay of per-frame values (T,).

    Mean leaves NaN out. Recall is the fraction of all frames above 0.5 (NaN is not above). Decay is the mean of the
    first quarter of the frames minus that of the last; neighbouring quarters share their border frame. No values: NaN.
    """
    values = np.asarray(per_frame, dtype=float)
    if values.ndim != 1:
        raise ValueError(f"expected per-frame values (T,), got shape {values.shape}; call once per object")
    if values.size == 0:
        return math.nan, math.nan, math.nan
    borders = (np.round(np.linspace(1, len(values), 5) + 1e-10) - 1).astype(int)
    first, last = values[: borders[1] + 1], values[borders[3] :]
    return nanmean(values), float(np.mean(values > 0.5)), nanmean(first) - nanmean(last)


def nanmean(values: np.ndarray) -> float:
    """Mean without NaN; NaN, and no warning, where nothing is left."""
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan


def _of_frames(measure: Callable[[MaskPair], float], gt, prediction, void) -> float | np.ndarray:
    gt, prediction, void = _checked(gt, prediction, void)
    if void is not None:
        gt, prediction = gt & ~void, prediction & ~void
    if gt.ndim == 2:
        return measure(MaskPair(bits.pack(gt), bits.pack(prediction), gt.shape))
    pairs = (MaskPair(bits.pack(a), bits.pack(b), a.shape) for a, b in zip(gt, prediction, strict=True))
    return np.array([measure(pair) for pair in pairs])


def _checked(gt, prediction, void) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    masks = [_as_bool(gt, "gt"), _as_bool(prediction, "prediction")]
    masks.append(None if void is None else _as_bool(void, "void"))
    for name, mask in zip(("prediction", "void"), masks[1:], strict=True):
        if mask is not None and mask.shape != masks[0].shape:
            raise ValueError(
                f"{name} has shape {mask.shape}, gt {masks[0].shape}; resize the prediction to the size of gt"
            )
    return tuple(masks)


def _as_bool(mask, name: str) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.ndim not in (2, 3):
        raise ValueError(f"{name}: expected a mask (H, W) or (T, H, W), got shape {mask.shape}")
    if 0 in mask.shape[-2:]:
        raise ValueError(f"{name}: expected a mask with pixels, got shape {mask.shape}; leave frames without any out")
    if mask.dtype != bool:
        if not np.issubdtype(mask.dtype, np.integer) or (mask.size and (mask.min() < 0 or mask.max() > 1)):
            raise ValueError(
                f"{name}: expected a boolean mask, got {mask.dtype}; compare labels with an id: labels == 1"
            )
        mask = mask.astype(bool)
    return np.ascontiguousarray(mask)
