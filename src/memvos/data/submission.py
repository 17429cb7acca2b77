"""Zip files for score servers: <video>/<frame>.png without an outer folder, and all that makes a server refuse one."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from memvos.data.check import Fault
from memvos.data.fetch import BROKEN_ARCHIVE
from memvos.data.files import BROKEN
from memvos.data.sequences import Video
from memvos.data.tree import Tree
from memvos.errors import InputError
from memvos.whole_file import whole_file


def pack(tree: Tree, folder: str | Path, target: str | Path) -> Path:
    """Put the masks of the tree's frames, folder/<video>/<frame>.png, into a zip; others in the folder stay out.

    Raises:
        InputError: if a mask is missing, or the target does not end in .zip.
    """
    folder, target = Path(folder), Path(target)
    if target.suffix != ".zip":
        raise InputError(f"got {target} to write to; expected a name that ends in .zip")
    names = [entry for video in tree.videos for entry in _entries(video)]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(names)} masks are missing in {folder} (first: {missing[0]}); expected "
            "one for every frame of the split; predict them with memvos evaluate write_masks=true (in its folder masks)"
        )
    with whole_file(target) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:  # PNGs are compressed
        for name in names:
            archive.write(folder / name, name)
    return target


def validate(tree: Tree, path: str | Path) -> list[Fault]:
    """The faults of a zip, one per kind: "outer folder", "missing frame", "surplus file", "not a palette PNG",
    "sizes differ", "unknown object id".

    Raises:
        InputError: if the file is missing, damaged, encrypted or no zip.
    """
    found: dict[str, list[str]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for kind, message in _faults(tree, archive):
                found.setdefault(kind, []).append(message)
    except BROKEN_ARCHIVE as fault:
        raise InputError(f"{path} cannot be read ({fault}); expected a zip of masks; pack it again") from fault
    return [Fault(kind, messages[0], len(messages)) for kind, messages in found.items()]


def _entries(video: Video) -> Iterator[str]:
    return (f"{video.name}/{frame}.png" for frame in video.frame_names)


def _faults(tree: Tree, archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    names = {name for name in archive.namelist() if not name.endswith("/")}
    wanted = {name: (video, t) for video in tree.videos for t, name in enumerate(_entries(video))}
    tops = {name.split("/")[0] for name in names}
    if len(tops) == 1 and not names & wanted.keys():
        top = next(iter(tops))
        if {name.removeprefix(f"{top}/") for name in names} & wanted.keys():
            yield (
                "outer folder",
                f"everything lies in {top}/; expected <video>/<frame>.png at the top; pack its content",
            )
            return
    for name in wanted:
        if name not in names:
            yield "missing frame", f"{name} is not there; expected a mask for every frame; predict and pack again"
    for name in sorted(names - wanted.keys()):
        yield "surplus file", f"{name} is no mask of {tree.name}; leave it out"
    for name in sorted(names & wanted.keys()):
        yield from _mask_faults(*wanted[name], name, archive.read(name))


def _mask_faults(video: Video, t: int, name: str, content: bytes) -> Iterator[tuple[str, str]]:
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            mode, labels = image.mode, np.array(image)
    except BROKEN as fault:
        yield "not a palette PNG", f"{name} cannot be read ({fault}); write it again"
        return
    if mode not in ("P", "L"):
        yield "not a palette PNG", f"{name} has mode {mode}; expected a palette PNG (P) whose values are ids"
        return
    if labels.shape != video.size:
        got, want = (f"{width}×{height}" for height, width in (labels.shape, video.size))
        yield "sizes differ", f"{name} is {got} pixels, its frame {want}; write masks in the frame's own size"
    known = {key for key, start in video.first_seen.items() if start <= t}
    extra = sorted({int(value) for value in np.unique(labels)} - known - {0})
    if extra:
        listed = ", ".join(map(str, sorted(known)))
        yield "unknown object id", f"{name} holds id {extra[0]}; expected only those given so far ({listed})"
