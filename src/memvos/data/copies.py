"""Pictures that are there twice: equal files within a video or among static images, and videos under two names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from memvos.data.trees import Tree


def find(tree: Tree) -> Iterator[tuple[Path, Path]]:
    """(copy, original) of every image file that has the content of an earlier one.

    Compared are the frames of each video, the first frames of all videos, and all static images. Only files of equal
    size are read.
    """
    for video in tree.videos:
        yield from _equal(video.image_paths)
    yield from _equal([video.image_paths[0] for video in tree.videos])
    yield from _equal([still.image_path for still in tree.images])


def _equal(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    by_size: dict[int, list[Path]] = {}
    for path in dict.fromkeys(paths):
        if path.is_file():
            by_size.setdefault(path.stat().st_size, []).append(path)
    for group in by_size.values():
        known: dict[bytes, Path] = {}
        for path in group if len(group) > 1 else ():
            original = known.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
            if original != path:
                yield path, original
