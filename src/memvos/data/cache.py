"""Decoded images and label maps, kept in memory or read each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

Read = Callable[[np.ndarray | None], np.ndarray]
"""Reads an array, into the given one if there is one and it fits."""


class NoCache:
    """Read each time."""

    def get(self, path: Path, read: Read, out: np.ndarray | None = None) -> np.ndarray:
        """Return what `read` reads; `out` itself, if it was given and has the size."""
        return read(out)


READ_EACH_TIME = NoCache()


class Cache:
    """Keep all that was read, as uint8, without a limit; every DataLoader worker fills its own."""

    def __init__(self) -> None:
        self._kept: dict[Path, np.ndarray] = {}

    def get(self, path: Path, read: Read, out: np.ndarray | None = None) -> np.ndarray:
        """Return what was read from `path`, reading it the first time: in `out`, or else not to be written to."""
        if path not in self._kept:
            self._kept[path] = read(None)
            self._kept[path].flags.writeable = False
        kept = self._kept[path]
        return kept if out is None else put(kept, out)


def put(values: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`out` with the values; the values themselves where it has another size."""
    if values.shape != out.shape:
        return values
    out[...] = values
    return out
