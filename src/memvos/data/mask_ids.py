"""What the values of a mask give away: smoothed edges, a lost palette, ids that meta.json does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from memvos.data.files import MaskFormat, require_png
from memvos.data.meta import MetaObject
from memvos.data.sequences import Video

PALETTE_GREYS = {38, 75, 113, 14, 15, 52, 53, 89, 90, 128, 19, 57, 94, 132, 133, 33, 34, 71, 72, 108, 109, 147}
"""Luminance of the colours 1 … 15 of the DAVIS palette (however rounded): what its ids turn into as grey values."""
AROUND = np.ones((3, 3), np.uint8)
"""A pixel and its eight neighbours."""


def look_at(reading: MaskFormat, path: Path) -> tuple[set[int], list[tuple[str, str]]]:
    """Decode a mask file once.

    Returns:
        Its object ids, and (kind, message) of what looks as if something had been done to its values.

    Raises:
        InputError: as `MaskFormat.read`, and as `require_png` where grey values are not cut at a threshold.
    """
    if not reading.threshold:
        require_png(path)
    labels = replace(reading, merge=False).read(path)
    ids = [int(value) for value in np.flatnonzero(np.bincount(labels.ravel(), minlength=1)) if value]
    doubts = [] if reading.threshold else list(_doubts(labels, ids, path))
    return ({1} if ids and reading.merge else set(ids)), doubts


def _doubts(labels: np.ndarray, ids: Sequence[int], path: Path) -> Iterator[tuple[str, str]]:
    if 38 in ids and set(ids) <= PALETTE_GREYS and _is_grey(path):
        yield (
            "no palette",
            f"mask {path} is grey with the values {', '.join(map(str, ids[:5]))}, which are the brightness of the "
            "colours of the DAVIS palette; expected ids 1, 2, …; save it with its palette (mode P)",
        )
    elif swapped := _swapped(path):
        yield "no palette", swapped
    elif len(ids) > 3 and sum(_is_edge(labels, value) for value in ids) > len(ids) / 2:
        yield (
            "smoothed mask",
            f"mask {path} holds {len(ids)} ids, most of them only along edges; expected a few solid objects; it was "
            "resized or saved with smoothing: use nearest neighbour, or threshold=true",
        )


def differs_from_meta(
    video: Video, first: Mapping[int, str], meta: Mapping[int, MetaObject], complete: bool
) -> str | None:
    """A message if the ids of masks are not those of meta.json.

    Args:
        video: whose masks they are.
        first: name of the first frame whose mask has an id, by id.
        meta: objects of the video.
        complete: all masks have been looked at, so that none may be missing.
    """
    surplus = sorted(first.keys() - meta.keys())
    missing = sorted(meta.keys() - first.keys()) if complete else []
    late = [key for key in first.keys() & meta.keys() if complete and meta[key].first not in (None, first[key])]
    if surplus or missing:
        got, want = (", ".join(map(str, sorted(ids))) or "none" for ids in (first, meta))
        return f"video {video.name!r} has masks of objects {got}, meta.json names {want}; download both again"
    if late:
        key = late[0]
        return (
            f"object {key} of video {video.name!r} is first masked in frame {first[key]}, meta.json says "
            f"{meta[key].first}; download both again"
        )
    return None


def _is_edge(labels: np.ndarray, value: int) -> bool:
    """Is an id thin (no pixel whose eight neighbours have it) and mostly beside another id?

    What smoothing puts between the background and an object lies beside that object, or beside the next value of the
    ramp; an object of few pixels has background around it.
    """
    mask = (labels == value).astype(np.uint8)
    if cv2.erode(mask, AROUND).any():
        return False
    others = ((labels > 0) & (labels != value)).astype(np.uint8)
    return np.count_nonzero(cv2.dilate(others, AROUND) & mask) > np.count_nonzero(mask) / 2


def _swapped(path: Path) -> str | None:
    """A message if the colours of a mask were numbered anew, so that its black background became an object."""
    with Image.open(path) as image:
        if image.mode != "P" or image.palette is None or not any(image.palette.palette[:3]):
            return None
        colours = np.reshape(image.getpalette(), (-1, 3))
        used = np.unique(image)
    black = [int(value) for value in used[used < len(colours)] if not colours[value].any()]
    if not black:
        return None
    return (
        f"mask {path} shows value 0, which is the background, in colour {tuple(colours[0].tolist())} and value "
        f"{black[0]} in black; expected black for 0; its colours were numbered anew: save the ids themselves"
    )


def _is_grey(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode in ("L", "LA")
