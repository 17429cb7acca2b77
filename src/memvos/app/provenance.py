"""The proof every result carries, and the fingerprint by which a job knows that it has been done.

A fingerprint is the hash of the settings that can change a result (not of folders, loggers, or the number of parallel
jobs), of the code they reach, of the data's own fingerprint, and of the weights started from.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from memvos.app import source
from memvos.paths import shipped_weights
from memvos.whole_file import write_text

FILE = "provenance.json"
TRAINED_BY = ("stage", "seed", "model", "lit", "trainer", "batch_size", "largest_batch")
SCORED_BY = ("split", "model", "memory", "previous_mask", "gate", "corruption_rate", "precision", "short_side", "tta")
"""Top-level keys of a configuration that change trained weights, or scores; beside them, the data in use."""
SEGMENTED_BY = ("model", "memory", "top_k", "kernel", "threshold", "ignore", "device", "precision", "short_side")
"""Top-level keys of a configuration `segment` that change masks."""
OF_THE_PLACE = ("val", "test", "num_workers", "workers", "cache", "root", "roots", "option", "official")
"""Keys of data that change nothing for the stage or split in use; what lies under a root has its own fingerprint."""
BOOKKEEPING = ("enable_progress_bar", "enable_model_summary", "log_every_n_steps", "default_root_dir", "logger")
"""Keys of the trainer that change nothing."""
PACKAGES = ("memvos", "torch", "torchvision", "pytorch-lightning", "hydra-core", "numpy", "scipy", "albumentations")
CODE = ("data", "model", "memory", "decode", "losses", "metrics", "lit")
"""Packages of memvos whose code can change trained weights or scores, where it is reached."""
FINAL = "final.ckpt"


def of_training(config: Mapping[str, Any], data: str, start: str | None = None) -> str:
    """Fingerprint of a training.

    Args:
        config: resolved configuration `train`, plain containers.
        data: fingerprint of the data.
        start: identity of the weights started from (`weights_identity`), None for a fresh start.
    """
    settings = {key: config[key] for key in TRAINED_BY} | {"data": _recipe(config["data"][config["stage"]])}
    settings |= {key: by_content(config[key]) for key in ("model", "lit")}
    settings["trainer"] = {key: value for key, value in config["trainer"].items() if key not in BOOKKEEPING}
    settings["average"] = (config["callbacks"] or {}).get("average")
    return _fingerprint(settings, (), data, start)


def of_evaluation(config: Mapping[str, Any], data: str, start: str | None = None) -> str:
    """Fingerprint of an evaluation: as `of_training`, of a configuration `evaluate`."""
    settings = {key: config[key] for key in SCORED_BY} | {"data": _recipe(config["data"][config["split"]])}
    settings["model"] = by_content(config["model"])
    if config["corruption_rate"]:
        settings["seed"] = config["seed"]
    return _fingerprint(settings, ("memvos.lit.evaluation",), data, start)


def of_segmentation(
    config: Mapping[str, Any], start: str | None = None, chosen: Sequence[Any] = (), modules: Iterable[str] = ()
) -> str:
    """Fingerprint of how a video is segmented.

    Args:
        config: resolved configuration `segment`, plain containers.
        start: identity of the weights.
        chosen: what of the model the command line chose, where it wins over the weights' own configuration.
        modules: of the network, which may be the weights'.
    """
    settings = {key: config[key] for key in SEGMENTED_BY} | {"chosen": list(chosen)}
    settings["model"] = by_content(config["model"])
    return _fingerprint(settings, ("memvos.decode.video", "memvos.decode.writers", *modules), "", start)


def by_content(config: Any) -> Any:
    """A configuration with the files it names told by what they are, not where: weights, shipped or not, a trained
    network, results of a detector; also proposals that were kept (`folder`).
    """
    if isinstance(config, Mapping):
        found = {key: by_content(value) for key, value in config.items()}
        if shipped := shipped_weights(config.get("weights")):
            found["weights"] = file_digest(shipped)
        if config.get("folder") and (known := read(config["folder"]).get("fingerprint")):
            found["folder"] = known
        return found
    if isinstance(config, list):
        return [by_content(value) for value in config]
    return weights_identity(config) if isinstance(config, str) and os.path.isfile(config) else config


def _recipe(data: Any) -> Any:
    """A data configuration without the keys that change nothing."""
    if isinstance(data, Mapping):
        return {key: _recipe(value) for key, value in data.items() if key not in OF_THE_PLACE}
    return [_recipe(value) for value in data] if isinstance(data, list) else data


def _fingerprint(settings: Mapping[str, Any], more: tuple[str, ...], data: str, start: str | None) -> str:
    from memvos.model.composition import targets

    named = [target for target in targets(settings) if isinstance(target, str)]
    modules = {source.home_of(target) for target in named} - {None}
    own = {source.own_file_of(target) for target in named} - {None}
    code = source.code_hash(source.closure([*modules, *more], CODE), own)
    return digest({"config": settings, "code": code, "data": data, "start": start})


def digest(value: Any) -> str:
    """SHA-256 (16 hex digits) of plain containers."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, all 64 hex digits."""
    state = os.stat(path)
    return _digest_of(str(path), state.st_mtime_ns, state.st_size)


@lru_cache
def _digest_of(path: str, changed: int, size: int) -> str:
    """As `file_digest`; a table asks for the same weights with every job it plans."""
    with open(path, "rb") as file:
        found = hashlib.sha256()
        while block := file.read(1 << 20):
            found.update(block)
        return found.hexdigest()


def weights_identity(path: str | Path) -> str:
    """What a weight file is: the fingerprint of the finished run whose final.ckpt it is, else the hash of the file."""
    record = read(Path(path).parent.parent) if Path(path).name == FINAL else {}
    return record["fingerprint"] if record.get("finished") else file_digest(path)


def trained_on(path: str | Path) -> str | None:
    """Name of the data of the run that left a weight file; None where that is not known."""
    return training_data(path).get("name")


def training_data(path: str | Path) -> dict[str, Any]:
    """Configuration of the data of the run that left a weight file; empty where that is not known."""
    return read(Path(path).parent.parent).get("config", {}).get("data", {})


def collect(
    config: Mapping[str, Any],
    mark: str | None,
    data: str | None,
    device: str,
    precision: str,
    weights: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that says how a result came about.

    Args:
        config: resolved configuration.
        mark: fingerprint of the run; None if no other can be the same.
        data: fingerprint of the data; None if it has none.
        device: where it ran, `cpu` or `cuda`.
        precision: in which it ran.
        weights: path, sha256, training data, and matched and missing counts of loaded weights.
    """
    return {
        "fingerprint": mark,
        "config": dict(config),
        "seed": config.get("seed"),
        "git": git_state(),
        "packages": package_versions(),
        "device": device_name(device),
        "precision": precision,
        "data": data,
        "weights": dict(weights) if weights else None,
        "created": now(),
        "command": " ".join(["memvos", *sys.argv[1:]]),
    }


def device_name(kind: str) -> str:
    """The model of the GPU, or of the CPU."""
    if kind.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(kind)
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def git_state() -> str | None:
    """Commit of the checkout memvos runs from, "+ changes" where tracked files differ; None outside a checkout."""
    folder = source.PACKAGE.parents[1]
    if not (folder / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return f"{commit} + changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else commit
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def difference(known: Mapping[str, Any], wanted: Mapping[str, Any], most: int = 3) -> str:
    """Which settings of two runs differ, for a message."""
    first, second = (dict(_leaves(record.get("config") or {})) for record in (known, wanted))
    keys = sorted(
        key for key in first.keys() | second.keys() if key.split(".")[0] in (*TRAINED_BY, "data", "callbacks")
    )
    changed = [
        f"{key}: {first.get(key)} there, {second.get(key)} here" for key in keys if first.get(key) != second.get(key)
    ]
    rest = f" and {len(changed) - most} more" if len(changed) > most else ""
    return "; ".join(changed[:most]) + rest if changed else "of other code, data or starting weights"


def read(folder: str | Path, name: str = FILE) -> dict[str, Any]:
    """The provenance of a run, or another JSON file of its folder; empty where there is none, or it is damaged."""
    try:
        found = json.loads((Path(folder) / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # no JSON, or no text
        return {}
    return found if isinstance(found, dict) else {}


def write(folder: str | Path, record: Mapping[str, Any], name: str = FILE) -> None:
    """Write provenance.json, or another JSON file of a run, in one piece or not at all."""
    write_text(Path(folder) / name, json.dumps(record, indent=1, default=str) + "\n")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _leaves(below, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
