"""The masks that `memvos segment` is given: which frames they are for, and whether all of them are fit to be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from memvos.data.files import MASK_SUFFIX, MaskFormat, image_size, list_files, require_png
from memvos.data.mask_ids import look_at
from memvos.decode.video import is_number, numbered
from memvos.errors import InputError


def find_masks(path: Path, frames: Any) -> dict[str, Path]:
    """Frame name → the file of its mask.

    Raises:
        InputError: if there is no mask, or no frame of a mask's name.
    """
    known = names_of(frames)
    if not path.exists():
        raise InputError(f"no mask at {path}; give the mask of the first frame, or a folder of masks")
    if path.is_dir():
        found = {file.stem: file for file in list_files(path, (MASK_SUFFIX,))}
        if not found:
            raise InputError(f"{path} holds no {MASK_SUFFIX} file; expected masks named as their frames")
    else:
        found = {path.stem if known(path.stem) else getattr(frames, "names", [numbered(0)])[0]: path}
    if alone := [name for name in found if not known(name) or _is_beyond(name, frames)]:
        single = " (a single one, of the first frame, may have any name that is no number)" if path.is_file() else ""
        raise InputError(
            f"{len(alone)} masks in {path} have no frame of their name in the video (first: {alone[0]}{MASK_SUFFIX}); "
            f"{_range(frames)}name masks as their frames{single}"
        )
    return found


def look_over(masks: Iterable[Path], reader: MaskFormat) -> None:
    """Decode every mask once and keep none, so that a bad one is found before anything is computed.

    Raises:
        InputError: if one is no PNG, cannot be read, has another size than the first, shows no object, or has values
            that are no ids any more (`look_at`).
    """
    sizes: dict[Path, tuple[int, int]] = {}
    for path in masks:
        require_png(path)
        ids, doubts = look_at(reader, path)
        sizes[path] = image_size(path)
        first = next(iter(sizes))
        if sizes[path] != sizes[first]:
            got, want = (f"{width}×{height}" for height, width in (sizes[path], sizes[first]))
            raise InputError(
                f"mask {path} is {got} pixels, {first.name} {want}; expected one size, that of the frames; resize it "
                "(nearest neighbour)"
            )
        if not ids:
            raise InputError(
                f"mask {path} shows no object, only background; expected at least one id above 0; draw one, or leave "
                "that file out"
            )
        if doubts:
            raise InputError(doubts[0][1])


def names_of(frames: Any) -> Callable[[str], bool]:
    """Is there a frame of this name, or could there be, where frames come without?"""
    return set(frames.names).__contains__ if hasattr(frames, "names") else is_number


def _is_beyond(name: str, frames: Any) -> bool:
    """Is a name the number of a frame after the last, where the video states how many it has?"""
    return not hasattr(frames, "names") and 0 < len(frames) <= int(name)


def _range(frames: Any) -> str:
    """How frames without names of their own are called, for a message."""
    if hasattr(frames, "names"):
        return ""
    others = f" to {numbered(len(frames) - 1)}" if len(frames) else ", 00001, …"
    return f"frames are named {numbered(0)}{others}; "


def noted(given: dict[str, list[int]], name: str, read: Callable[[], Any]) -> Any:
    """Read a mask, and note the ids it gives at this frame."""
    labels = read()
    given[name] = [int(value) for value in np.unique(labels) if value]
    return labels
