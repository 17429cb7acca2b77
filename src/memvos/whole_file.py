"""Files that are whole, or as they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Where to write what shall be the file `path` once the block ends well.

    A reader never sees half a file, and a stop or an error meanwhile leaves what was there before. Two processes may
    write the same file: one of them is the last. Its folder is made. The place to write to has another suffix, and
    starts with a dot: writers that go by the suffix are given the format or an open file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, as a whole file."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
