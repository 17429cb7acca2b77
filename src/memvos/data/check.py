"""Look over a tree before training or scoring: one `Fault` per kind, with its first example and its count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memvos.data.files import probe, read_image
from memvos.data.sequences import StaticImage, Video
from memvos.data.trees import Tree
from memvos.errors import InputError

DECODED_AT_MOST = 6000
"""Files up to which `check` decodes all of a tree by default: a few seconds."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault. Attributes: kind, example (the first one's message), count."""

    kind: str
    example: str
    count: int

    def __str__(self) -> str:
        return f"{self.kind} ({self.count}×): {self.example}"


def check(tree: Tree, thorough: bool | None = None) -> list[Fault]:
    """Return the faults of a tree, in the order in which their kinds were first met; an empty list if there are none.

    The header and the end of every file are read, and every first mask is decoded. `thorough` decodes every file, which
    also finds damage in the middle of a file and unknown object ids; None does so for at most `DECODED_AT_MOST` files.

    The kinds: "unreadable file"; "sizes differ" (a mask and its image, or the frames of a video); "no first mask"; "no
    object"; "unknown object id" (one that the first mask lacks, in a tree where objects may not enter late).
    """
    if thorough is None:
        thorough = len(tree.files()) <= DECODED_AT_MOST
    found: dict[str, dict[Path, str]] = {}
    for kind, path, message in _faults(tree, thorough):
        found.setdefault(kind, {}).setdefault(path, message)
    return [Fault(kind, next(iter(messages.values())), len(messages)) for kind, messages in found.items()]


def raise_faults(tree: Tree, faults: list[Fault]) -> None:
    """End a run on a tree that has faults.

    Raises:
        InputError: with the first fault, and the number of further kinds.
    """
    if faults:
        more = "" if len(faults) == 1 else f" (and {len(faults) - 1} more kinds of fault: memvos data check lists them)"
        raise InputError(f"data {tree.name}: {faults[0]}{more}")


_Found = Iterator[tuple[str, Path, str]]  # kind, the file at fault, message


def _faults(tree: Tree, thorough: bool) -> _Found:
    for video in tree.videos:
        yield from _file_faults(video)
        yield from _mask_faults(video, thorough)
        for path in video.image_paths if thorough else ():
            yield from _unreadable(path, lambda path=path: read_image(path))
    for still in tree.images:
        yield from _still_faults(still, thorough)


def _file_faults(video: Video) -> _Found:
    """Headers and ends of all files, and their sizes."""
    expected = None
    for frame, image_path in zip(video.frame_names, video.image_paths, strict=True):
        for path in (image_path, video.mask_paths.get(frame)):
            if path is None:
                continue
            try:
                size = probe(path)
            except InputError as fault:
                yield "unreadable file", path, str(fault)
                continue
            expected = expected or size
            if size != expected:
                got, want = (f"{width}×{height}" for height, width in (size, expected))
                message = f"{path} is {got} pixels, video {video.name!r} {want}; expected one size; resize it to {want}"
                yield "sizes differ", path, message


def _mask_faults(video: Video, thorough: bool) -> _Found:
    """What the masks hold: all of them if thorough, otherwise the first one."""
    if 0 not in video.annotated:
        yield "no first mask", video.image_paths[0], video.no_first_mask
        return
    known: set[int] | None = None
    for t in video.annotated if thorough else video.annotated[:1]:
        path = video.mask_paths[video.frame_names[t]]
        try:
            ids = {int(value) for value in np.unique(video.mask_format.read(path)) if value}
        except InputError as fault:
            yield "unreadable file", path, str(fault)
            continue
        if t == 0 and not ids and not video.late_objects:
            yield "no object", path, f"first mask {path} is empty; expected at least one object id above 0; draw one"
        if t == 0:
            known = ids
        elif known and not video.late_objects and ids - known:
            yield "unknown object id", path, _unknown_id(path, ids, known)


def _unknown_id(path: Path, ids: set[int], known: set[int]) -> str:
    got, expected = (", ".join(map(str, sorted(values))) for values in (ids - known, known))
    return (
        f"mask {path} holds object {got}; expected only the ids of the first mask ({expected}); correct the mask, "
        "or read the videos with late_objects=true if objects enter later"
    )


def _still_faults(still: StaticImage, thorough: bool) -> _Found:
    try:
        sizes = probe(still.image_path), probe(still.mask_path)
    except InputError as fault:
        yield "unreadable file", still.image_path, str(fault)
        return
    if sizes[0] != sizes[1]:
        (height, width), (rows, columns) = sizes
        message = f"mask {still.mask_path} is {columns}×{rows} pixels, its image {width}×{height}; resize the mask"
        yield "sizes differ", still.mask_path, message
    elif thorough:
        yield from _unreadable(still.image_path, still.image)
        try:
            if not still.labels().any():
                yield (
                    "no object",
                    still.mask_path,
                    f"mask {still.mask_path} is empty; draw an object or remove the pair",
                )
        except InputError as fault:
            yield "unreadable file", still.mask_path, str(fault)


def _unreadable(path: Path, read: Callable[[], object]) -> _Found:
    try:
        read()
    except InputError as fault:
        yield "unreadable file", path, str(fault)
