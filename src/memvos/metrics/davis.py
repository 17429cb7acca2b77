"""Region similarity J and boundary accuracy F of DAVIS (Perazzi et al., CVPR 2016); as the official toolkit does."""

from __future__ import annotations

import math

import numpy as np

BOUNDARY_TOLERANCE = 0.008
"""Distance within which two boundaries match, as a ratio of the image diagonal."""

_TRUTH, _PREDICTION = np.uint8(1), np.uint8(2)


def region_similarity(gt: np.ndarray, prediction: np.ndarray, void: np.ndarray | None = None) -> float | np.ndarray:
    """Intersection over union J; 1 where both masks are empty.

    Args:
        gt: true mask, bool (H, W), or (T, H, W) for T frames.
        prediction: predicted mask of the same shape.
        void: pixels that do not count, of the same shape.

    Returns:
        A ratio in [0, 1], or (T,) of them.

    Raises:
        ValueError: if a mask is not boolean (or 0/1), has other than 2 or 3 axes, or the shapes differ.
    """
    gt, prediction, void = _checked(gt, prediction, void)
    if void is not None:
        gt, prediction = gt & ~void, prediction & ~void
    if gt.ndim == 2:
        return _iou(gt, prediction)
    return np.array([_iou(*pair) for pair in zip(gt, prediction, strict=True)])


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
        ValueError: if a mask is not boolean (or 0/1), has other than 2 or 3 axes, or the shapes differ.
    """
    gt, prediction, void = _checked(gt, prediction, void)
    if void is not None:
        gt, prediction = gt & ~void, prediction & ~void
    radius = math.ceil(tolerance * math.hypot(*gt.shape[-2:]))
    if gt.ndim == 2:
        return _boundary_f(gt, prediction, radius)
    return np.array([_boundary_f(*pair, radius) for pair in zip(gt, prediction, strict=True)])


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
    if mask.dtype != bool:
        if not np.issubdtype(mask.dtype, np.integer) or (mask.size and (mask.min() < 0 or mask.max() > 1)):
            raise ValueError(
                f"{name}: expected a boolean mask, got {mask.dtype}; compare labels with an id: labels == 1"
            )
        mask = mask.astype(bool)
    return np.ascontiguousarray(mask)


def _iou(gt: np.ndarray, prediction: np.ndarray) -> float:
    union = np.count_nonzero(gt | prediction)
    return np.count_nonzero(gt & prediction) / union if union else 1.0


def _boundary_f(gt: np.ndarray, prediction: np.ndarray, radius: int) -> float:
    """F of one frame. Both masks travel as two bits of one array, cropped to where either of them is set."""
    masks = prediction.view(np.uint8) << 1
    masks |= gt.view(np.uint8)
    edges = _boundary_bits(_crop(masks))
    reach = _dilate_bits(edges, radius)
    total_gt, total_prediction = np.count_nonzero(edges & _TRUTH), np.count_nonzero(edges & _PREDICTION)
    if not total_gt and not total_prediction:
        return 1.0
    if not total_gt or not total_prediction:
        return 0.0  # precision and recall are 1 and 0, or 0 and 1
    recall = np.count_nonzero(edges & (reach >> 1) & _TRUTH) / total_gt
    precision = np.count_nonzero(edges & (reach << 1) & _PREDICTION) / total_prediction
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _crop(masks: np.ndarray) -> np.ndarray:
    """Cut to the bounding box of the non-zero pixels and one pixel around it (inside the image); may be empty."""
    rows, columns = np.flatnonzero(masks.any(axis=1)), np.flatnonzero(masks.any(axis=0))
    if not rows.size:
        return masks[:0, :0]
    return masks[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2]


def _boundary_bits(masks: np.ndarray) -> np.ndarray:
    """Boundary of every bit of uint8 (H, W): pixels that differ from the one right, below, or right below of them.

    In the last column only the pixel below counts, in the last row only the one to the right, in the corner none.
    """
    edges = np.zeros_like(masks)
    edges[:, :-1] = masks[:, :-1] ^ masks[:, 1:]
    edges[:-1] |= masks[:-1] ^ masks[1:]
    edges[:-1, :-1] |= masks[:-1, :-1] ^ masks[1:, 1:]
    return edges


def _dilate_bits(edges: np.ndarray, radius: int) -> np.ndarray:
    """Dilate every bit of uint8 (H, W) by the disk x² + y² ≤ radius².

    The disk is a stack of horizontal runs, the longer the nearer to its middle: runs grow once, from the rim inwards.
    Everything happens in one flat array, where `radius` empty pixels after every row keep the rows apart.
    """
    height, width = edges.shape
    row = width + radius
    padded = np.zeros((height + 2 * radius + 2, row), dtype=np.uint8)
    padded[radius + 1 : radius + 1 + height, :width] = edges
    run, start, stop = padded.ravel(), (radius + 1) * row, (radius + 1 + height) * row
    reach, half_width = run[start:stop].copy(), 0
    for offset in range(radius, -1, -1):
        wanted = math.isqrt(radius**2 - offset**2)
        while half_width < wanted:
            step = min(wanted - half_width, 2 * half_width + 1)  # longer steps would leave holes
            grown = run.copy()
            grown[step:] |= run[:-step]
            grown[:-step] |= run[step:]
            run, half_width = grown, half_width + step
        reach |= run[start - offset * row : stop - offset * row]
        reach |= run[start + offset * row : stop + offset * row]
    return reach.reshape(height, row)[:, :width]
