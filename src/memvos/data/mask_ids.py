"""What the values of a mask give away: smoothed edges, a lost palette, ids that meta.json does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from memvos.data.files import MaskFormat
from memvos.data.meta import MetaObject
from memvos.data.sequences import Video

PALETTE_GREYS = {38, 75, 113, 14, 15, 52, 53, 89, 90, 128, 19, 57, 94, 132, 133, 33, 34, 71, 72, 108, 109, 147}
"""Luminance of the colours 1 … 15 of the DAVIS palette (however rounded): what its ids turn into as grey values."""


def present(reading: MaskFormat, path: Path) -> set[int]:
    """The object ids of a mask file.

    Raises:
        InputError: as `MaskFormat.read`.
    """
    counts = np.bincount(reading.read(path).ravel(), minlength=1)
    return {int(value) for value in np.flatnonzero(counts) if value}


def suspicious(reading: MaskFormat, path: Path) -> Iterator[tuple[str, str]]:
    """(kind, message) of a mask that can be read, but whose values look as if something had been done to it."""
    if reading.threshold:
        return
    labels = replace(reading, merge=False).read(path)
    ids = [int(value) for value in np.unique(labels) if value]
    if 38 in ids and set(ids) <= PALETTE_GREYS and _is_grey(path):
        yield (
            "no palette",
            f"mask {path} is grey with the values {', '.join(map(str, ids[:5]))}, which are the brightness of the "
            "colours of the DAVIS palette; expected ids 1, 2, …; save it with its palette (mode P)",
        )
    elif len(ids) > 3 and sum(_is_edge(labels == value) for value in ids) > len(ids) / 2:
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


def _is_edge(mask: np.ndarray) -> bool:
    """Has the region no pixel whose eight neighbours belong to it?"""
    return not cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).any()


def _is_grey(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode in ("L", "LA")
