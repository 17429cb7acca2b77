"""From names and overrides to settings: memory presets, and the model's memory read."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from memvos.errors import InputError, check_number
from memvos.memory import MemoryBank
from memvos.model.composition import composed
from memvos.model.interface import VOSModel
from memvos.model.memory_read import Kernel, MemoryRead, Softmax, TopK
from memvos.paths import conf_dir

OF_MEMORY = ("sigma", "beta", "every")
OF_READ = ("top_k", "kernel")


def presets() -> list[str]:
    """Names of the memory presets."""
    return sorted(path.stem for path in (conf_dir() / "memory").glob("*.yaml"))


def bank_options(memory: str | Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `MemoryBank` from a preset's name or a mapping.

    Raises:
        InputError: if there is no such preset.
    """
    if isinstance(memory, Mapping):
        return {name: plain(value) for name, value in memory.items()}
    if not isinstance(memory, str) or memory not in presets():
        raise InputError(f"unknown memory preset {memory!r}; known: {', '.join(presets())}")
    return dict(_preset(memory))


@cache
def _preset(name: str) -> dict[str, Any]:
    return composed(f"memory/{name}")["memory"]


def make_bank(options: Mapping[str, Any]) -> MemoryBank:
    """A memory bank from its arguments by name.

    Raises:
        InputError: if one is unknown or out of range.
    """
    known = list(inspect.signature(MemoryBank).parameters)
    if unknown := [name for name in options if name not in known]:
        raise InputError(f"unknown option {unknown[0]!r} of the memory; known: {', '.join(known)}")
    try:
        return MemoryBank(**options)
    except ValueError as error:
        raise InputError(f"memory: {error}") from error


def read_of(model: VOSModel) -> MemoryRead | None:
    """The memory read of a model, or of the network that a plugin is put on; None where it has no such read."""
    network = getattr(model, "network", None)
    if isinstance(network, VOSModel):
        return read_of(network)
    read = getattr(model, "read", None)
    return read if isinstance(read, MemoryRead) else None


def split_overrides(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Overrides of the memory and of the model's read.

    Raises:
        InputError: if one is unknown.
    """
    unknown = [name for name in overrides if name not in OF_MEMORY + OF_READ]
    if unknown:
        known = ", ".join(OF_MEMORY + OF_READ)
        raise InputError(f"unknown override {', '.join(unknown)}; known: {known} (None switches a limit off)")
    given = {name: plain(value) for name, value in overrides.items()}
    of_memory = {name: value for name, value in given.items() if name in OF_MEMORY}
    return of_memory, {name: value for name, value in given.items() if name in OF_READ}


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's, so that a saved segmenter holds plain values."""
    return value.item() if isinstance(value, np.generic) else value


def with_read(model: VOSModel, overrides: Mapping[str, Any]) -> VOSModel:
    """The model with `top_k` or `kernel` of its read replaced; weights are shared, the given model stays as it is.

    Raises:
        InputError: if the model has no such read, or a value is out of range.
    """
    if not overrides:
        return model
    network = getattr(model, "network", None)
    if isinstance(network, VOSModel):  # a plugin leaves the read to its network
        return model.having(network=with_read(network, overrides))
    read = read_of(model)
    if read is None:
        raise InputError(f"{type(model).__name__} has no memory read to set {', '.join(overrides)} of")
    check_number("top_k", overrides.get("top_k"), 1, off=True)
    check_number("kernel", overrides.get("kernel"), 0, whole=False, above=True, off=True)
    settings = {**selected(read), **overrides}
    sigma, top_k = settings["kernel"], settings["top_k"]
    return model.having(read=MemoryRead(_selection(sigma, top_k), read.similarity).train(read.training))


def selected(read: MemoryRead) -> dict[str, Any]:
    """`top_k` and `kernel` of a read; None where it has no such limit."""
    selection = read.selection
    return {
        "top_k": selection.k if isinstance(selection, Kernel | TopK) else None,
        "kernel": selection.sigma if isinstance(selection, Kernel) else None,
    }


def _selection(sigma: float | None, top_k: int | None) -> Kernel | TopK | Softmax:
    if sigma is not None:
        return Kernel(sigma, top_k)
    return Softmax() if top_k is None else TopK(top_k)
