"""What a user can put right: turns exceptions of memvos, Hydra and OmegaConf into one line with the remedy."""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Mapping, Sequence

import yaml
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from memvos.errors import InputError


class UnknownKey(InputError):
    """A config key or group that does not exist. Attribute: key."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def explain(error: BaseException) -> str | None:
    """Return one line for an error that bad input caused, None for a fault of the program."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return _instantiation(error)
    if isinstance(error, MissingConfigException):
        return _missing_choice(error)
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read the override {error.override!r}: {_line(str(error))}; expected key=value, a value with signs "
            "of its own in quotes within quotes, e.g. \"weights='a=b.ckpt'\""
        )
    if isinstance(error, HydraException | OmegaConfBaseException):
        cause = error.__cause__
        return _line(f"{error} {cause}" if cause is not None and str(cause) not in str(error) else str(error))
    if isinstance(error, yaml.YAMLError):
        return f"a configuration is no YAML: {_line(str(error))}; correct it there"
    if isinstance(
        error, FileNotFoundError | FileExistsError | PermissionError | NotADirectoryError | IsADirectoryError
    ):
        return f"{error.filename}: {error.strerror}" if error.filename else _line(str(error))
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.ENOSPC, errno.ENAMETOOLONG, errno.EDQUOT):
        return f"cannot write {error.filename or 'a file'}: {error.strerror}; make room, or write elsewhere"
    return _line(_own_words(error)) if isinstance(error, InputError) else None


def _own_words(error: InputError) -> str:
    """Its message; an error from a process that loads training clips comes with the traceback there, as text."""
    text, name = str(error), f"{type(error).__name__}: "
    return text.rpartition(name)[2] if text.startswith(f"Caught {name.rstrip(': ')} in ") else text


def unknown_key(key: str, config: DictConfig) -> UnknownKey:
    """Name the keys that do exist where `key` was looked for, the closest first."""
    *parents, last = key.split(".")
    where: DictConfig = config
    path = []
    for name in parents:
        below = OmegaConf.select(where, name, throw_on_missing=False)
        if not isinstance(below, DictConfig):
            last = name
            break
        where = below
        path.append(name)
    known = [str(name) for name in where if name != "hydra"]
    if last in known:
        return UnknownKey(key, f"{key!r} gets no new keys from a mapping; add each by itself: +{key}.NAME=VALUE")
    close = difflib.get_close_matches(last, known, n=1)
    place = f"under {'.'.join(path)!r}" if path else "at the top level"
    hint = f"; did you mean {'.'.join([*path, close[0]])!r}?" if close else "."
    return UnknownKey(key, f"unknown config key {key!r}{hint} Known {place}: {_choices(known)}")


def unknown_group(key: str, known: Sequence[str]) -> UnknownKey:
    """Name the config groups that do exist beside `key`."""
    parent, _, last = key.rpartition("/")
    close = difflib.get_close_matches(last, known, n=1)
    hint = f"; did you mean {parent}/{close[0]!s}?" if close else "."
    return UnknownKey(
        key, f"unknown config group {key!r}{hint} Groups in {parent or 'conf'}: {_choices(known) or 'none'}"
    )


def absent_group(key: str, choices: Mapping[str, str]) -> UnknownKey:
    """Name the groups that the choice above `key` does have: `key` exists, but this choice has no such part."""
    parent = key.rpartition("/")[0]
    own = [group for group in choices if group.startswith(f"{parent}/")]
    deeper = [group for group in own if group.startswith(f"{key}@")]
    hint = f"; did you mean {deeper[0]}?" if deeper else ""
    owner = f"{parent}={choices[parent]}" if parent in choices else parent
    own_parts = f"its own are {_choices(own)}" if own else "it has none"
    return UnknownKey(key, f"{owner} has no part {key!r}; {own_parts}{hint}")


def _instantiation(error: InstantiationException) -> str | None:
    """A constructor or factory named in a config failed: whose fault is it?"""
    cause = error.__cause__
    while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
        cause = cause.__cause__
    key = re.search(r"full_key: (\S+)", str(error))
    where = f"{key.group(1)}: " if key else ""
    if inner := explain(cause):
        return where + inner
    if isinstance(cause, ValueError | ImportError | AttributeError):
        return where + _line(str(cause))
    if isinstance(cause, TypeError):
        target = re.search(r"target '([^']+)'", str(error))
        return f"{where}{target.group(1) if target else ''}: {_line(str(cause))}; check the keys and values there"
    return None


def _missing_choice(error: MissingConfigException) -> str:
    wanted = str(error.missing_cfg_file or "")
    group, _, choice = wanted.rpartition("/")
    group, choice = (group, choice) if group else (choice, "")
    if error.options:
        return f"no config {choice!r} in group {group!r}; options are {_choices(error.options)}"
    return _line(str(error)) + (f" (no config group {group!r})" if group and group not in str(error) else "")


def _choices(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _line(text: str) -> str:
    return re.sub(r"\s*\n\s*", "; ", text.strip())
