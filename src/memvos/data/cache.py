"""Decoded images and label maps, kept in memory or read each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np


class NoCache:
    """Read each time."""

    def get(self, path: Path, read: Callable[[], np.ndarray]) -> np.ndarray:
        """Return what `read` reads."""
        return read()


READ_EACH_TIME = NoCache()


class Cache:
    """Keep all that was read, as uint8, without a limit; every DataLoader worker fills its own."""

    def __init__(self) -> None:
        self._kept: dict[Path, np.ndarray] = {}

    def get(self, path: Path, read: Callable[[], np.ndarray]) -> np.ndarray:
        """Return what was read from `path`, reading it the first time; not to be written to."""
        if path not in self._kept:
            self._kept[path] = read()
            self._kept[path].flags.writeable = False
        return self._kept[path]
