"""Arguments NAME=VALUE of a command that are its own, beside overrides of a configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from memvos.errors import InputError, check_switch


def split(arguments: Sequence[str], names: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The values of a command's own arguments, and what is left for the configuration."""
    pairs = [argument.partition("=") for argument in arguments]
    rest = [argument for argument in arguments if argument.partition("=")[0] not in names]
    return {key: value for key, _, value in pairs if key in names}, rest


def whole_number(name: str, text: str) -> int:
    """The number of NAME=N.

    Raises:
        InputError: if it is not a positive whole number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"expected {name}=N with N of at least 1, got {name}={text}")
    return int(text)


def switch(options: Mapping[str, str], name: str) -> bool:
    """The value of NAME=true or NAME=false; false where it is not there.

    Raises:
        InputError: if it is neither.
    """
    text = options.get(name, "false")
    check_switch(name, {"true": True, "false": False}.get(text.lower(), text))
    return text.lower() == "true"
