"""What train and evaluate share: the run's folder, its identity, and weights from a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import instantiate as hydra_instantiate

from memvos.app import provenance
from memvos.errors import InputError, check_number, check_switch


def instantiate(config: Any, **arguments: Any) -> Any:
    """Build what `_target_` names, from plain containers, with plain containers as arguments."""
    return hydra_instantiate(config, _convert_="all", **arguments)


def instantiate_all(group: dict[str, Any] | None) -> list[Any]:
    """Build every entry of a group (callbacks, loggers); entries set to null are left out."""
    entries = {name: entry for name, entry in (group or {}).items() if entry is not None}
    return list(instantiate(entries).values())  # as one, so that a fault names its entry


def writable_folder(path: str | Path, option: str = "output_dir") -> Path:
    """Make a folder, which the user names by `option`.

    Raises:
        PermissionError: if nothing can be written there.
        InputError: if a file is in the way.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"cannot write to {folder}: a file is in the way; choose another {option}=FOLDER") from error
    except OSError as error:
        reason = error.strerror or error
        raise PermissionError(f"cannot write to {folder}: {reason}; choose another {option}=FOLDER") from error
    return folder


def check_numbers(settings: Mapping[str, Any]) -> None:
    """Refuse a seed, threads, steps, batches, learning rates or switches that are none.

    Raises:
        InputError: if so.
    """
    for key, least in (("seed", 0), ("threads", 1)):
        check_number(key, settings[key], least)
    for key, least, whole in (("steps", 1, True), ("batch", 1, True), ("learning_rate", 0, False)):
        for stage, number in settings[key].items():
            check_number(f"{key}.{stage}", number, least, whole=whole)
    check_number("batch_size", settings["batch_size"], 1)
    check_number("workers", settings.get("workers", 1), 1)
    for key in ("resume", "check_data", "untrained", "write_masks"):
        check_switch(key, settings.get(key, False))


def data_of(settings: Mapping[str, Any], part: str) -> Any:
    """The configuration of the data that `part` (stage or split) names.

    Raises:
        InputError: if the data set has no such stage or split.
    """
    data, name = settings["data"], settings[part]
    built = {
        key: str(value["_target_"]) for key, value in data.items() if isinstance(value, dict) and "_target_" in value
    }
    known = [key for key, target in built.items() if target.endswith("DataModule") == (part == "stage")]
    if name not in known:
        raise InputError(f"data {data['name']} has no {part} {name!r}; expected one of {', '.join(known)}")
    return data[name]


def raise_data_faults(trees: Iterable[Any]) -> None:
    """Look over trees before they are used; faults that stop nothing are noted on standard error.

    Raises:
        InputError: for the first tree with a fault that stops it.
    """
    from memvos.data.check import check, raise_faults

    for tree in trees:
        faults = check(tree)
        raise_faults(tree, faults)
        for fault in faults:
            print(f"note: data {tree.name}: {fault}", file=sys.stderr)


def is_first_rank() -> bool:
    """True in the process that writes files: rank 0 of a distributed run, or the only one."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


def build_model(config: dict[str, Any], weights: str | None) -> Any:
    """Build the network; what its configuration would fetch or prepare is left out where weights replace it anyway."""
    from memvos.model.composition import without_sources

    return instantiate(config if weights is None else without_sources(config))


def start_from(model: Any, settings: Mapping[str, Any], training: bool = False) -> dict[str, Any] | None:
    """Load the weights of the settings, if any, into their model; say what was loaded.

    Raises:
        InputError: if weights do not fit; also if they leave parts of the model as they started, unless a training
            starts from them or `untrained` is set.
    """
    path = settings["weights"]
    if path is None:
        return None
    from memvos.model.checkpoints import load_weights
    from memvos.model.fitting import require_trained
    from memvos.model.state_files import abridged

    report = load_weights(model, path, settings["model"], training)
    if not (training or settings.get("untrained")):
        require_trained(report)
    if report.unexpected:
        parts = sorted({name.split(".")[0] for name in report.unexpected})
        print(f"note: {path}: parts that this network lacks are left out: {abridged(parts)}", file=sys.stderr)
    counts = {"matched": len(report.matched), "missing": len(report.missing), "left_out": len(report.unexpected)}
    origin = {"sha256": provenance.file_digest(path), "trained_on": provenance.trained_on(path)}
    return {"path": str(path), **origin, **counts}


def describe(config: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of result.json that the configuration knows."""
    data, split = config["data"], config["split"]
    return {
        "row": config["row"],
        "seed": config["seed"],
        "split": split,
        "scale": config["scale"],
        "data": data["name"],
        "difficulty": data[split].get("difficulty"),  # scales set data.difficulty for data that has none, too
    }
