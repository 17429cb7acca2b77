"""One file of a network's weights: its tensors by plain names, and what memvos keeps beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from memvos.errors import InputError
from memvos.model.state_files import abridged, read_file, write_pickled, write_safetensors

PREFIX = "model."  # of a network's tensors in a training checkpoint
REMEDY = "give a state_dict, a training checkpoint of memvos or a released checkpoint"


@dataclass(frozen=True)
class WeightFile:
    """What a file holds.

    Attributes:
        source: the file.
        tensors: by name, without wrappers and prefixes.
        configuration: of the network, in a file of memvos; None in any other.
        fresh: names of tensors that were never trained (parts that an imported checkpoint lacked).
    """

    source: str
    tensors: dict[str, Tensor]
    configuration: dict[str, Any] | None = None
    fresh: tuple[str, ...] = ()

    def of(self, prefix: str) -> WeightFile:
        """The tensors whose names start with a prefix, without it."""
        tensors = {key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)}
        return replace(self, tensors=tensors)


def read_weights(path: str | Path) -> WeightFile:
    """Read a state_dict, a training checkpoint of memvos, a file of `write_weights` or a released checkpoint.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is damaged, or holds no weights of a network.
    """
    content = read_file(path)
    facts = _facts(content.pop("__metadata__", {}), content, path)
    held = content
    if isinstance(content.get("state_dict"), dict):
        held = content["state_dict"]
        content = {key.removeprefix(PREFIX): value for key, value in held.items() if str(key).startswith(PREFIX)}
    elif isinstance(content.get("network"), dict):
        held = content = content["network"]
    content = {str(key): value for key, value in content.items()}
    if content and all(key.startswith("module.") for key in content):
        content = {key.removeprefix("module."): value for key, value in content.items()}
    strangers = {key: type(value).__name__ for key, value in content.items() if not isinstance(value, Tensor)}
    if strangers:
        found = abridged([f"{key} ({kind})" for key, kind in strangers.items()])
        raise InputError(f"{path}: expected nothing but tensors, got {found}; {REMEDY}")
    if not content:
        found = abridged([str(key) for key in held]) or "nothing"
        raise InputError(f"{path}: no weights of a network in it (it holds {found}); {REMEDY}")
    return WeightFile(str(path), content, facts.get("model"), tuple(facts.get("fresh") or ()))


def write_weights(
    path: Path, tensors: Mapping[str, Tensor], configuration: Mapping[str, Any], fresh: Iterable[str] = ()
) -> None:
    """Write a network in memvos's own form, .safetensors or else pickled.

    Raises:
        InputError: if the file cannot be written.
    """
    facts = {"model": dict(configuration), "fresh": sorted(fresh)}
    if path.suffix == ".safetensors":
        write_safetensors(path, tensors, facts)
    else:
        named = {PREFIX + key: tensor for key, tensor in tensors.items()}
        write_pickled(path, {"state_dict": named, "hyper_parameters": facts})


def _facts(metadata: Mapping[str, Any], content: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """What memvos wrote beside the tensors; empty in any other file."""
    try:
        facts = {key: json.loads(value) for key, value in metadata.items() if key in ("model", "fresh")}
    except ValueError:
        facts = dict(metadata)
    facts = content.get("hyper_parameters", facts)
    stored = facts.get("model", {}) if isinstance(facts, dict) else facts
    if not isinstance(stored, dict):
        raise _damaged(path, "the configuration of a network", stored)
    if not isinstance(facts.get("fresh") or [], (list, tuple)):
        raise _damaged(path, "a list of the tensors that were not trained", facts["fresh"])
    return facts


def _damaged(path: str | Path, expected: str, got: Any) -> InputError:
    return InputError(
        f"{path}: expected {expected} in it, got {str(got)[:40]!r}; it is damaged, or not a checkpoint of memvos"
    )
