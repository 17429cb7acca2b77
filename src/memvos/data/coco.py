"""COCO's masks: run lengths and polygons; instances drawn as label maps, one PNG for every image that has any."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from memvos.data.prepare import Job
from memvos.errors import InputError

MOST = 254
"""Objects of an image that fit a label map."""


class Runs(NamedTuple):
    """A run-length mask of COCO.

    Attributes:
        size: (H, W).
        lengths: of its runs of zeros and ones in turn, down the columns, zeros first; they add up to H·W.
    """

    size: tuple[int, int]
    lengths: np.ndarray

    def mask(self) -> np.ndarray:
        """Bool (H, W)."""
        return np.repeat(np.arange(len(self.lengths)) % 2 == 1, self.lengths).reshape(self.size[::-1]).T


def instance_masks(annotations: Path, target: Path) -> list[Job]:
    """Jobs that draw the masks of instances_*.json into `target`/<image>.png; crowds are left out.

    Raises:
        InputError: if the file is missing or is none of COCO's.
    """
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
        sizes = {entry["id"]: (entry["file_name"], entry["height"], entry["width"]) for entry in content["images"]}
        found: dict[int, list[Any]] = {}
        for entry in content["annotations"]:
            if not entry.get("iscrowd"):
                found.setdefault(entry["image_id"], []).append(entry["segmentation"])
        return [
            (partial(draw, shapes, sizes[key][1:]), target / f"{Path(sizes[key][0]).stem}.png")
            for key, shapes in found.items()
        ]
    except FileNotFoundError as fault:
        raise InputError(f"found no {annotations}; expected the instances of COCO; unpack its annotations") from fault
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise InputError(f"{annotations} is no instances file of COCO ({fault!r}); download it again") from fault


def draw(shapes: Sequence[Any], size: tuple[int, int], target: Path) -> None:
    """Draw objects on a label map (H, W) = `size`, larger ones first, and save it."""
    masks = sorted((rasterise(shape, size) for shape in shapes), key=np.count_nonzero, reverse=True)
    labels = np.zeros(size, np.uint8)
    for key, mask in enumerate(masks[:MOST], start=1):
        labels[mask] = key
    image = Image.fromarray(labels)
    image.putpalette([value for key in range(256) for value in (key * 67 % 256, key * 29 % 256, key * 151 % 256)])
    image.save(target, "PNG")


def rasterise(shape: Sequence[Sequence[float]] | Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    """A mask, bool (H, W) = `size`, from polygons [x, y, x, y, …] in pixels, or run lengths.

    Raises:
        InputError: if it is neither, of another size, or as `runs_of`.
    """
    if isinstance(shape, Mapping):
        mask = runs_of({"size": size, **shape}).mask()
        if mask.shape != tuple(size):
            raise InputError(
                f"a COCO mask has size {list(mask.shape)}, its image {list(size)}; export both of the same images"
            )
        return mask
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise InputError(f"a COCO mask is {shape!r}; expected polygons or run lengths; export it again")
    mask = np.zeros(size, bool)
    for polygon in shape:
        mask |= _inside(np.asarray(polygon, float).reshape(-1, 2), size)
    return mask


def runs_of(segmentation: Mapping[str, Any]) -> Runs:
    """A run-length mask as COCO's files have it, unpacked and looked over.

    Args:
        segmentation: {size: [H, W], counts: runs, or COCO's compressed string of them}.

    Raises:
        InputError: if it is not of this form, has no pixel, the runs do not add up to the mask's size, or one is
            negative.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    shape = _whole(size)
    runs = _unpack(counts) if isinstance(counts, str | bytes) else _whole(counts)
    if shape is None or len(shape) != 2 or min(shape) < 1 or runs is None:
        raise InputError(
            f"a COCO mask has size {size!r} and counts {str(counts)[:40]}; expected [height, width] and runs; "
            "export it again"
        )
    height, width = shape
    if sum(runs) != height * width:
        raise InputError(f"a COCO mask has runs of {sum(runs)} pixels; expected {height}×{width}; export it again")
    if min(runs, default=0) < 0:
        raise InputError(f"a COCO mask has a run of {min(runs)} pixels; expected none below 0; export it again")
    return Runs((height, width), np.array(runs, np.int64))


def _whole(values: Any) -> list[int] | None:
    """Whole numbers as such; None if there are others."""
    try:
        found = [int(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found == list(values) else None


def _unpack(counts: str | bytes) -> list[int]:
    """Runs from COCO's compressed string: five bits a character, low ones first; from the fourth run on differences."""
    codes = (counts.encode() if isinstance(counts, str) else counts).__iter__()
    runs: list[int] = []
    for code in codes:
        value, shift, chunk = 0, 0, code - 48
        while True:
            value |= (chunk & 0x1F) << shift
            shift += 5
            if not chunk & 0x20:
                break
            chunk = next(codes, 48) - 48  # where the string is cut off: its runs will not add up
        if chunk & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def _inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centre lies in a polygon (points, 2) of x, y: an odd number of its sides lies left of them."""
    height, width = size
    crossings = np.zeros((height, width + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        (top, left), (bottom, right) = sorted([(y0, x0), (y1, x1)])
        rows = np.arange(max(0, np.ceil(top - 0.5)), min(height, np.ceil(bottom - 0.5)), dtype=int)
        if rows.size:
            at = left + (rows + 0.5 - top) * (right - left) / (bottom - top)
            crossings[rows, np.clip(np.ceil(at - 0.5), 0, width).astype(int)] += 1
    return crossings.cumsum(axis=1)[:, :-1] % 2 == 1
