"""Composes configurations with Hydra: `compose` for code, `launch` for a command line (overrides, -m, --cfg, --help).

The configuration tree is `memvos.paths.conf_dir()`; `--config-dir FOLDER` adds a folder of the same form, which is how
a user's own model or data set gets its config file. `resolved` gives plain containers: nothing below sees a DictConfig.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra import main as hydra_main
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf

from memvos.app.faults import absent_group, unknown_group, unknown_key
from memvos.paths import conf_dir

VERSION_BASE = "1.3"
SWEEP = ("-m", "--multirun")
OPTIONS = {
    **dict.fromkeys((*SWEEP, "--run", "-r", "--resolve", "-h", "--help", "--hydra-help", "--version", "-sc"), False),
    **dict.fromkeys(("-c", "--cfg", "-p", "--package", "-cd", "--config-dir", "-cn", "--config-name"), True),
    **dict.fromkeys(("-cp", "--config-path", "--experimental-rerun"), True),
}
"""Hydra's own options, and whether a value follows. (--info and --shell-completion, whose value may be left out, go to
Hydra where they stand.)"""

QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
"""A quoted string of Hydra's override grammar."""


def compose(config_name: str, overrides: Sequence[str] = (), hydra: bool = False) -> DictConfig:
    """Compose a primary config (train, evaluate, segment) with overrides.

    Args:
        hydra: keep the node `hydra` (needed to resolve what refers to the run's folder).

    Raises:
        InputError: for an unknown key or option, with those that exist.
    """
    try:
        return _compose(config_name, list(overrides), hydra)
    except ConfigCompositionException as error:
        raise _better(error, config_name, list(overrides)) from error


def resolved(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain dicts, lists and values, every interpolation resolved."""
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


def launch(config_name: str, arguments: Sequence[str], task: Callable[[DictConfig], Any]) -> Any:
    """Run `task` under Hydra's own command line; return what it returned (of the last job in a sweep).

    Lightning starts further ranks from `sys.argv`, so that holds the whole command line again while `task` runs.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and leaving
    whole, returned, failed = sys.argv, [], []

    def job(config: DictConfig) -> Any:
        sys.argv = whole
        try:
            returned.append(task(config))
        except Exception as error:  # raised again below; Hydra would print about it
            failed.append(error)
            return None
        return returned[-1]

    job.__module__ = task.__module__
    options, overrides = split_options(arguments)
    sys.argv = [whole[0], *options, *overrides]  # the order that Hydra wants
    try:
        hydra_main(version_base=VERSION_BASE, config_path=str(conf_dir()), config_name=config_name)(job)()
    except ConfigCompositionException as error:
        overrides = [override for override in overrides if not override.startswith("-")]
        raise _better(error, config_name, overrides) from error
    except SystemExit as leave:  # after --help and its like
        if leave.code:
            raise
    except OSError as error:
        raise PermissionError(
            f"cannot write to {error.filename}: {error.strerror}; choose another output_dir=FOLDER"
        ) from error
    finally:
        sys.argv = whole
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
    if failed:
        raise failed[0]
    return returned[-1] if returned else None


def split_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's own options with their values, and everything else, each in its order."""
    options, others, waiting = [], [], list(arguments)
    while waiting:
        argument = waiting.pop(0)
        option, equals, _ = argument.partition("=")
        if option not in OPTIONS:
            others.append(argument)
            continue
        options.append(argument)
        if OPTIONS[option] and not equals and waiting:
            options.append(waiting.pop(0))
    return options, others


def quoted(path: str | os.PathLike[str]) -> str:
    """A path as Hydra's override grammar reads it."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def path_value(text: str) -> str:
    """A path from a command line as the value of an override: quoted, unless it is so already (and no file's name)."""
    return text if QUOTED.fullmatch(text) and not os.path.exists(text) else quoted(text)


def with_folder(folder: str | os.PathLike[str], *keys: str) -> str:
    """The command line of this process with a folder set, to be typed again.

    Args:
        folder: of the run or the sweep.
        keys: what the command line may name it by; the last where it does not.
    """
    line = ["", *sys.argv[1:]]
    plain = re.fullmatch(r"[\w./-]+", str(folder))
    key = next((key for key in keys if key in map(key_of, line)), keys[-1])
    kept = [argument for before, argument in pairwise(line) if key not in (before, key_of(argument))]
    return shlex.join(["memvos", *kept, f"{key}={folder if plain else quoted(folder)}"])


def key_of(override: str) -> str:
    """The key or group of an override: `model` of `+model@other=qdmn`."""
    return override.lstrip("+~").split("=")[0].split("@")[0]


def place(override: str) -> str:
    """What an override changes: model.b=1, model/c=x, model/x@model.d=y → model.b, model.c, model.d."""
    key = override.lstrip("+~").split("=")[0]
    return key.split("@")[-1].split(":")[-1].replace("/", ".")


def places(overrides: Sequence[str], part: str) -> list[str]:
    """Where below `part` overrides change a configuration: model.a.b=1, model/c=x → a.b, c."""
    return [key.removeprefix(f"{part}.") for key in map(place, overrides) if key.startswith(f"{part}.")]


def _compose(config_name: str, overrides: list[str], hydra: bool) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base=VERSION_BASE):
        return hydra_compose(config_name, overrides, return_hydra_config=hydra)


def _better(error: ConfigCompositionException, config_name: str, overrides: list[str]) -> Exception:
    """Replace 'Could not override' by the list of what could be overridden."""
    key = _refused(error)
    if key is None:
        return error
    try:
        config = _without(key, config_name, overrides, "/" in key)
    except HydraException:
        return error
    if "/" not in key:
        return unknown_key(key, config)
    known = _groups(key)
    if key.rpartition("/")[2] not in known:
        return unknown_group(key, known)
    return absent_group(key, config.hydra.runtime.choices)


def _refused(error: HydraException) -> str | None:
    """The key that could not be overridden, if that is the error."""
    match = re.search(r"Could not override '([^']+)'", f"{error} {error.__cause__ or ''}")
    return key_of(match.group(1)) if match else None


def _without(key: str, config_name: str, overrides: list[str], hydra: bool) -> DictConfig:
    """What composes without this key, and without the next ones that are refused."""
    kept = [override for override in overrides if key_of(override) != key]
    try:
        return _compose(config_name, kept, hydra)
    except ConfigCompositionException as error:
        following = _refused(error)
        if following is None or len(kept) == len(overrides):
            raise
        return _without(following, config_name, kept, hydra)


def _groups(key: str) -> list[str]:
    """Names of the config groups beside `key`."""
    folder = conf_dir() / key.rpartition("/")[0]
    return [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
