"""Weight files in and out (.pth, .ckpt, .safetensors, .npz) as names and tensors, without running code in them."""

from __future__ import annotations

import json
import pickle
import pickletools
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from memvos.errors import InputError, first_line
from memvos.whole_file import whole_file

PICKLED = (".pth", ".pt", ".ckpt", ".bin")
SUFFIXES = (*PICKLED, ".safetensors", ".npz")
DAMAGE = (
    *(RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, OverflowError),
    *(pickle.UnpicklingError, struct.error, zlib.error, BadZipFile),
)
"""What PyTorch and NumPy raise for a file that is cut off, of another kind, or lacks something."""
NAMING = {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"}
"""Operations of a pickle that name a class or function."""
ZIP = b"PK\x03\x04"  # at the start of PyTorch's files, by which it knows them
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
ELSEWHERE = "name a file in a folder you can write to"


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor of a weight file and of the network.

    Attributes:
        source: the file, or a name such as "imagenet".
        matched: names of the network that took a tensor of the file.
        renamed: name in the file → name in the network, where they differ.
        missing: names of the network that the file lacks; they keep their fresh values.
        unexpected: names in the file that the network has no place for, deliberately left out.
    """

    source: str
    matched: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()

    def __str__(self) -> str:
        line = (
            f"{self.source}: {len(self.matched)} matched, {len(self.renamed)} renamed, "
            f"{len(self.missing)} missing, {len(self.unexpected)} unexpected"
        )
        details = [("missing", self.missing), ("unexpected", self.unexpected)]
        return "; ".join([line, *(f"{what}: {abridged(names)}" for what, names in details if names)])


def abridged(names: Mapping[str, Any] | tuple[str, ...] | list[str], most: int = 4) -> str:
    """The first few names and how many more there are, for one-line messages."""
    names = sorted(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def check_kinds(loaded: Mapping[str, Any], own: Mapping[str, Tensor], source: str) -> None:
    """Raise InputError naming the first tensor that is not dense, or holds numbers of another kind than the network's.

    Weights are floating point of any precision from 16 bits; a network's integers may have been saved as any number.
    """
    for name, value in loaded.items():
        dtype, floating = own[name].dtype, own[name].is_floating_point()
        kinds = FLOATS if floating else (dtype, *INTEGERS, *FLOATS)
        if _form(value) != "dense" or value.dtype not in kinds:
            expected = ", ".join(map(_plain, FLOATS)) if floating else _plain(dtype)
            kind = f"{_form(value)} {_plain(value.dtype)}" if isinstance(value, Tensor) else type(value).__name__
            raise InputError(
                f"{source}: {name} is {kind}, expected a dense tensor of {expected}; "
                "give the weights as they were before they were quantised or converted"
            )


def _form(value: Any) -> str:
    if not isinstance(value, Tensor):
        return "no tensor"
    if value.is_nested or value.is_meta:
        return "nested" if value.is_nested else "meta (without values)"
    return "dense" if value.layout is torch.strided else _plain(value.layout)


def _plain(name: torch.dtype | torch.layout) -> str:
    return str(name).removeprefix("torch.")


def check_shapes(loaded: dict[str, Tensor], own: dict[str, Tensor], source: str, remedy: str) -> None:
    """Raise InputError naming the first tensor whose shape differs from the network's."""
    for name, tensor in loaded.items():
        if tensor.shape != own[name].shape:
            raise InputError(
                f"{source}: {name} has shape {tuple(tensor.shape)}, expected {tuple(own[name].shape)}; {remedy}"
            )


def check_finite(loaded: Mapping[str, Tensor], source: str) -> None:
    """Raise InputError naming the first tensor that holds NaN or infinity."""
    for name, tensor in loaded.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f"{source}: {name} holds values that are no numbers; take an earlier checkpoint")


def read_file(path: str | Path) -> dict[str, Any]:
    """Read a weight file as it is: names to tensors, or the nested dictionary of a training checkpoint.

    Metadata of a .safetensors file is returned under "__metadata__". Nothing in the file is executed.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the suffix is unknown, or the file is a folder, truncated, not a weight file, or holds code.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a {', '.join(SUFFIXES)} file; give that of the weights in it")
    if not path.is_file():
        raise FileNotFoundError(f"no weight file {path}; give the path of a {', '.join(SUFFIXES)} file")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: unknown kind of weight file {path.suffix!r}; expected {', '.join(SUFFIXES)}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    content = _read_npz(path) if path.suffix == ".npz" else _read_pickled(path)
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a dictionary of weights, got {type(content).__name__}; save model.state_dict()"
        )
    return content


def write_safetensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors, and metadata whose values are JSON-able.

    Raises:
        InputError: if the file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with whole_file(path) as draft:
            save_file(plain, str(draft), {name: json.dumps(value) for name, value in metadata.items()})
    except (OSError, SafetensorError) as error:
        raise _cannot_write(path, error) from error


def write_pickled(path: str | Path, content: Mapping[str, Any], remedy: str = ELSEWHERE) -> None:
    """Write tensors and plain values as PyTorch does, in one piece or not at all.

    Raises:
        InputError: if the file cannot be written; it ends with the remedy.
    """
    try:
        with whole_file(path) as draft:
            torch.save(dict(content), draft)
    except (OSError, RuntimeError, ValueError) as error:
        raise _cannot_write(path, error, remedy) from error


def _cannot_write(path: str | Path, error: Exception, remedy: str = ELSEWHERE) -> InputError:
    return InputError(f"cannot write {path} ({first_line(error)}); {remedy}")


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(str(path), framework="pt") as file:
            content: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
    except SafetensorError as error:
        raise InputError(
            f"{path}: not a readable .safetensors file ({first_line(error)}); it may be truncated, fetch it again"
        ) from None
    if metadata:
        content["__metadata__"] = metadata
    return content


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: torch.from_numpy(np.array(file[name])) for name in file.files}
    except DAMAGE as error:
        raise InputError(
            f"{path}: not a readable .npz file ({first_line(error)}); it may be truncated, fetch it again"
        ) from None


def _read_pickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():  # of how the file was written, whose reader can do nothing about it
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        if isinstance(error, pickle.UnpicklingError) and _names_code(path):
            raise InputError(
                f"{path}: holds objects other than tensors, which could run code, and is refused; "
                "load it where you trust it and save its state_dict() as .safetensors"
            ) from None
        raise InputError(f"{path}: not a weight file of PyTorch; it may be truncated, fetch it again") from None


def _names_code(path: Path) -> bool:
    """Does a whole pickle in the file name a class or function? One that is cut off, or is none, does not count.

    The pickle is read, not run. Before its zip files PyTorch wrote three short pickles in front of that of the weights.
    """
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            zipped = content[: len(ZIP)] == ZIP
            stream = BytesIO(_record(path, "/data.pkl")) if zipped else content
            return any(
                NAMING & {operation.name for operation, _, _ in pickletools.genops(stream)}
                for _ in range(1 if zipped else 4)
            )
    except DAMAGE:
        return False


def _record(path: Path, ending: str) -> bytes:
    with ZipFile(path) as archive:
        return archive.read(next((name for name in archive.namelist() if name.endswith(ending)), ending))
