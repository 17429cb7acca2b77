"""The exceptions that end a command with one line, and the checks of plain values that raise the first of them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any


class InputError(ValueError):
    """Bad input: the message is one line that says what was got, what was expected and what to do.

    The command line prints it without a traceback and ends with exit code 2.
    """


class RunFailed(RuntimeError):
    """A run came to nothing though its input was good: the message is one line that says why and what to do.

    The command line prints it without a traceback and ends with exit code 1.
    """


def first_line(error: BaseException) -> str:
    """What an exception of others says, for a message: its first line, or its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def check_number(
    name: str, value: Any, least: float, *, whole: bool = True, above: bool = False, off: bool = False
) -> None:
    """Refuse what is no number, or too small a one.

    Args:
        name: the key or argument, for the message.
        value: what was got.
        least: the smallest number that is taken.
        whole: only whole numbers are.
        above: `least` itself is not.
        off: None is taken, too, and switches something off.

    Raises:
        InputError: if so.
    """
    if off and value is None:
        return
    number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not number or not (value > least if above else value >= least):
        kind, bound = "a whole number" if whole else "a number", "above" if above else "from"
        none = ", or null (None) to switch it off" if off else ""
        raise InputError(f"expected {name} as {kind} {bound} {least}{none}, got {value!r}")


def check_switch(name: str, value: Any) -> None:
    """Refuse what is neither true nor false.

    Raises:
        InputError: if so.
    """
    if not isinstance(value, bool):
        raise InputError(f"expected {name}=true or {name}=false, got {value!r}")
