"""From names and overrides to settings: memory presets, and the model's memory read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from memvos.errors import InputError
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
    if not isinstance(memory, str):
        return dict(memory)
    if memory not in presets():
        raise InputError(f"unknown memory preset {memory!r}; known: {', '.join(presets())}")
    return yaml.safe_load((conf_dir() / "memory" / f"{memory}.yaml").read_text(encoding="utf-8"))


def split_overrides(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Overrides of the memory and of the model's read.

    Raises:
        InputError: if one is unknown.
    """
    unknown = [name for name in overrides if name not in OF_MEMORY + OF_READ]
    if unknown:
        known = ", ".join(OF_MEMORY + OF_READ)
        raise InputError(f"unknown override {', '.join(unknown)}; known: {known} (None switches a limit off)")
    of_memory = {name: value for name, value in overrides.items() if name in OF_MEMORY}
    return of_memory, {name: value for name, value in overrides.items() if name in OF_READ}


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
    read = getattr(model, "read", None)
    if not isinstance(read, MemoryRead):
        raise InputError(f"{type(model).__name__} has no memory read to set {', '.join(overrides)} of")
    for name, value in overrides.items():
        if value is not None and (isinstance(value, bool) or not value > 0):
            raise InputError(f"expected {name} above 0, or None to switch it off, got {value!r}")
    selection = read.selection
    sigma = selection.sigma if isinstance(selection, Kernel) else None
    top_k = selection.k if isinstance(selection, Kernel | TopK) else None
    sigma, top_k = overrides.get("kernel", sigma), overrides.get("top_k", top_k)
    return model.having(read=MemoryRead(_selection(sigma, top_k), read.similarity).train(read.training))


def _selection(sigma: float | None, top_k: int | None) -> Kernel | TopK | Softmax:
    if sigma is not None:
        return Kernel(sigma, top_k)
    return Softmax() if top_k is None else TopK(top_k)
