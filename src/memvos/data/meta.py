"""meta.json of YouTube-VOS and LVOS: which objects a video has, of which category, and from which frame on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memvos.errors import InputError


@dataclass(frozen=True)
class MetaObject:
    """What meta.json says of one object. Attributes: category, "" where unknown; first, name of its first frame."""

    category: str
    first: str | None


Meta = Mapping[str, Mapping[int, MetaObject]]
"""Objects by video name and object id."""


def read_meta(path: Path) -> dict[str, dict[int, MetaObject]]:
    """Read the objects of every video, in the form of YouTube-VOS (`frames`) or LVOS (`frame_range`).

    Raises:
        InputError: if the file is missing or not of this form.
    """
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
        return {name: {int(key): _object(entry) for key, entry in v["objects"].items()} for name, v in videos.items()}
    except FileNotFoundError as fault:
        raise InputError(
            f"found no {path}; expected the meta.json that comes with the data set; copy it there"
        ) from fault
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise InputError(
            f'{path} cannot be used ({type(fault).__name__}: {fault}); expected {{"videos": {{NAME: {{"objects": '
            "{ID: {...}}}}}; download it again"
        ) from fault


def categories(meta: Meta) -> tuple[str, ...]:
    """All categories, in alphabetical order."""
    return tuple(sorted({entry.category for objects in meta.values() for entry in objects.values()} - {""}))


def _object(entry: Mapping) -> MetaObject:
    span = entry.get("frame_range") or {}
    frames = entry.get("frames") or ([span["start"]] if span.get("start") else [])
    return MetaObject(str(entry.get("category") or ""), str(frames[0]) if frames else None)
