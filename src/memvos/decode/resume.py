"""Save a segmenter in the middle of a video and go on later, bit-equal."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from memvos.decode.settings import read_of, selected
from memvos.decode.sizes import FrameSize
from memvos.errors import InputError
from memvos.model.interface import VOSModel
from memvos.model.state_files import DAMAGE, write_pickled

if TYPE_CHECKING:
    from memvos.decode.propagate import Segmenter

FORMAT = 5


def save(segmenter: Segmenter, path: str | Path) -> None:
    """Write the segmenter's state, in one piece or not at all: a stop meanwhile leaves an older file as it was."""
    _check_path(path)
    write_pickled(path, packed(segmenter))


def packed(segmenter: Segmenter) -> dict[str, Any]:
    """What `save` writes, for a file that holds more than the segmenter's state; `unpack` takes it over."""
    return {"format": FORMAT, "header": _header(segmenter), **_state(segmenter)}


def _state(segmenter: Segmenter) -> dict[str, Any]:
    """Everything that changes from frame to frame."""
    size = segmenter._size
    return {
        "bank": segmenter.bank.state_dict(),
        "ids": segmenter.ids,
        "since": list(segmenter.since),
        "objects": segmenter.objects,
        "time": segmenter.time,
        "salt": segmenter._salt,
        "previous": segmenter._previous,
        "size": None if size is None else [size.size, size.inner, size.padding],
    }


def load(segmenter: Segmenter, path: str | Path) -> None:
    """Take over a state written by `save`."""
    _check_path(path)
    if not Path(path).is_file():
        raise InputError(f"no saved memory at {path}; write one with save(path)")
    try:
        state = torch.load(path, map_location=segmenter.device, weights_only=True)
    except DAMAGE as error:
        raise InputError(f"{path} is not a saved memory, or is damaged; write one with save(path)") from error
    unpack(segmenter, state, path)


def unpack(segmenter: Segmenter, state: Any, path: str | Path) -> None:
    """Take over what `packed` gave, read from `path`. A state that is refused leaves the segmenter as it was.

    Raises:
        InputError: if it is something else, lacks a part, or is from another model, version, memory or precision.
    """
    if not isinstance(state, dict) or "format" not in state or not isinstance(state.get("header"), dict):
        raise InputError(f"{path} is not a saved memory; write one with save(path)")
    if state["format"] != FORMAT:
        raise InputError(f"{path} has format {state['format']}, this version reads {FORMAT}; save it again")
    _check_header(state["header"], _header(segmenter), path)
    before = _state(segmenter)
    try:
        _take_over(segmenter, state)
    except DAMAGE as error:
        _take_over(segmenter, before)
        raise InputError(f"{path} is damaged; write it again with save(path)") from error


def _check_path(path: str | Path) -> None:
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"expected the path of a saved memory, got {path!r}; name a file, e.g. 'memory.pt'")


def _take_over(segmenter: Segmenter, state: dict[str, Any]) -> None:
    segmenter.reset(state["objects"])
    segmenter.bank.load_state_dict(state["bank"])
    segmenter.ids, segmenter.time, segmenter._salt = list(state["ids"]), state["time"], state["salt"]
    segmenter.since = tuple(state["since"])
    segmenter._previous = state["previous"]
    segmenter._size = None if state["size"] is None else FrameSize(*(tuple(part) for part in state["size"]))


def _header(segmenter: Segmenter) -> dict[str, Any]:
    """What must be the same on both sides, causes before what they change (the weights are kept in the precision)."""
    read = read_of(segmenter.model)
    return {
        "model": type(segmenter.model).__name__,
        "precision": str(segmenter.dtype).removeprefix("torch."),
        "weights": _fingerprint(segmenter.model),
        "memory": dict(segmenter.bank.options),
        "read": {} if read is None else selected(read),
        "gate": type(segmenter.gate).__name__,
        "prior": type(segmenter.prior).__name__,
        "short_side": segmenter.short_side,
    }


def _check_header(there: dict[str, Any], here: dict[str, Any], path: str | Path) -> None:
    for name, value in here.items():
        if there.get(name) != value:
            raise InputError(
                f"{path} was saved with {name} {there.get(name)}, this segmenter has {value}; "
                f"build it with the same {name}"
            )


def _fingerprint(model: VOSModel) -> str:
    """CRC-32 over names and bytes of the weights."""
    crc = 0
    for name, tensor in model.state_dict().items():
        crc = zlib.crc32(name.encode(), crc)
        crc = zlib.crc32(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy(), crc)
    return f"{crc:08x}"
