"""What a network is set to beside its weights, by which kept scores are known. Of any paper."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn


def settings_of(part: Any) -> Any:
    """Plain values of a network, a part of it, or what it asks (a source of proposals): public attributes, with classes
    and functions by name, files and folders by name, size and time. Weights and buffers are left out.
    """
    if part is None or isinstance(part, (bool, int, float)):
        return part
    if isinstance(part, (str, Path)):
        return [str(part), *(_of_file(Path(part)) if part else [])]
    if isinstance(part, Mapping):
        return {str(key): settings_of(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [settings_of(value) for value in part]
    if isinstance(part, (Tensor, np.ndarray)):
        return zlib.crc32(np.ascontiguousarray(part.detach().cpu() if isinstance(part, Tensor) else part).data)
    if isinstance(part, partial):
        return settings_of([part.func, part.args, part.keywords])
    if hasattr(part, "__qualname__"):
        return f"{part.__module__}.{part.__qualname__}"
    known = {key: value for key, value in getattr(part, "__dict__", {}).items() if not key.startswith("_")}
    if isinstance(part, nn.Module):
        known = {**known, **dict(part.named_children()), "training": None}
    return [settings_of(type(part)), settings_of(known)]


def _of_file(path: Path) -> list[list[Any]]:
    """Name, size and time of a file, or of all files of a folder; nothing where there is none."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path] * path.is_file()
        return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    except (OSError, ValueError):  # a text that is no path
        return []
