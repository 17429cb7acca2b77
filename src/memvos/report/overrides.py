"""Lists of Hydra overrides as a table file holds them: joined, and with their placeholders filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

SIZE = "{size}"
"""Stands for the scale's suffix of a network's name."""
WEIGHTS = re.compile(r"\{weights\.(\w+)\}")
"""In `evaluate`: stands for the trained weights of another row or lender."""


def merge(*overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Join lists of Hydra overrides; of two values of one key the later stays, at the place of the first."""
    return tuple({text.partition("=")[0]: text for part in overrides for text in part}.values())


def lent_to(overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Ids of the rows and lenders whose trained weights these overrides name, `{weights.ID}`."""
    return tuple(dict.fromkeys(id for text in overrides for id in WEIGHTS.findall(text)))


def lend(overrides: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Overrides with `{weights.ID}` replaced by the value of the id."""
    return [WEIGHTS.sub(lambda match: values[match[1]], text) for text in overrides]
