"""Label maps and per-object masks, object ids, and the palette they are shown in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from memvos.data.sequences import size_remedy
from memvos.errors import InputError

LARGEST_ID = 2**16 - 1
"""What the 16-bit PNG holds that masks with ids above 255 are written to."""


def davis_palette() -> list[int]:
    """The 256-colour palette of DAVIS and PASCAL VOC label images: 768 values, RGB of label 0, 1, …"""
    palette = []
    for label in range(256):
        rgb = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                rgb[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
        palette += rgb
    return palette


def split_masks(
    masks: Any, size: tuple[int, int], what: str = "the given mask", empty: bool = False
) -> dict[int, np.ndarray]:
    """Turn given masks into one bool mask per object.

    Args:
        masks: a label map (H, W) of integers, 0 = background, or {id: bool (H, W)}. Ids are positive integers, gaps
            allowed. Where masks of a mapping overlap, the later one has the pixel.
        size: (H, W) of the frame.
        what: what to call the masks in a message.
        empty: whether no object at all is fine.

    Returns:
        {id: bool (H, W)}, in ascending order of ids for a label map.

    Raises:
        InputError: wrong type, size or ids, or no object at all.
    """
    if isinstance(masks, Mapping):
        split = {_object_id(key): _array(value, f"{what} of object {key}", size) for key, value in masks.items()}
        for key, mask in split.items():
            if mask.dtype != bool:
                raise InputError(
                    f"expected {what} of object {key} as bool (H, W), got {mask.dtype}; compare it first, e.g. mask > 0"
                )
    else:
        labels = _array(masks, what, size)
        labels = labels.astype(np.uint8) if labels.dtype == bool else labels
        if labels.dtype.kind not in "iu" or labels.min() < 0:
            raise InputError(
                f"expected {what} as a label map of integers from 0, got {labels.dtype} from {labels.min()}; "
                "0 is background, values are object ids"
            )
        split = {_object_id(label): labels == label for label in np.unique(labels) if label}
    if not (split or empty):
        raise InputError(f"{what} shows no object, only background; leave it out, or give the object's pixels")
    return split


def _object_id(key: Any) -> int:
    if isinstance(key, bool) or not isinstance(key, (int, np.integer)) or not 1 <= key <= LARGEST_ID:
        got = int(key) if isinstance(key, np.integer) else repr(key)
        raise InputError(f"expected object ids to be integers from 1 to {LARGEST_ID}, got {got}; 0 is background")
    return int(key)


def _array(mask: Any, what: str, size: tuple[int, int]) -> np.ndarray:
    try:
        array = mask.numpy(force=True) if isinstance(mask, Tensor) else np.asarray(mask)
    except (TypeError, ValueError) as error:  # bf16, rows of different lengths
        raise InputError(
            f"expected {what} as an array of integers or bool, got a {type(mask).__name__} ({error}); convert it"
        ) from error
    if array.ndim != 2:
        raise InputError(f"expected {what} as an array (H, W), got shape {array.shape}; give one value for each pixel")
    if array.shape != size:
        got, want = (f"{width}×{height}" for height, width in (array.shape, size))
        remedy = size_remedy(array.shape, size, "resize it (nearest neighbour)")
        raise InputError(f"expected {what} in the size of the frame, {want} pixels, got {got}; {remedy}")
    return array


def join_labels(winners: np.ndarray, ids: list[int]) -> np.ndarray:
    """Turn an argmax over background and objects (H, W), 0 … N, into a label map of object ids.

    uint8, or int32 where an id is above 255.
    """
    table = np.array([0, *ids], dtype=np.uint8 if max(ids, default=0) < 256 else np.int32)
    return table[winners]


def to_tensor(masks: Mapping[int, np.ndarray], device: torch.device) -> Tensor:
    """{id: bool (H, W)} to (1, N, H, W) float32, where a later mask takes the pixels of an earlier one."""
    stack = torch.from_numpy(np.stack([np.asarray(mask, dtype=np.float32) for mask in masks.values()]))
    later = stack.flip(0).cumsum(0).flip(0) - stack
    return (stack * (later == 0)).unsqueeze(0).to(device)


def check_seen(key: int, time: int, given: np.ndarray, whole: Any, shown: Any) -> None:
    """Refuse the first mask of an object of which nothing is shown.

    Args:
        key: the object's id.
        time: the frame's index.
        given: its mask (H, W).
        whole: what other masks leave of it, (H, W).
        shown: that in the working size, (h, w).

    Raises:
        InputError: if so.
    """
    if shown.any():
        return
    why, remedy = "hidden by masks given after it" if given.any() else "empty", "give it where it is seen"
    if whole.any():
        height, width = shown.shape
        why = f"lost in the working size, {width}×{height} pixels"
        remedy = "choose a larger one (short_side, tta scales), or give fewer objects"
    raise InputError(f"the first mask of object {key}, at frame {time}, is {why}; {remedy}")


def grown(mask: Tensor, reach: int) -> Tensor:
    """One object's mask (H, W) with its border moved out by `reach` pixels to every side."""
    return F.max_pool2d(mask[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0]
