"""What a table file lists: training stages, variants of an evaluation, rows, sweeps with their curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SCORES = ("J", "J_recall", "J_decay", "F", "F_recall", "F_decay", "J&F", "J_present", "F_present", "J&F_present")
"""Scores of every object, and in result.json their means: `memvos.metrics.MEASURES`."""
YOUTUBE_SCORES = ("G", "J_G", "F_G", "J_seen", "F_seen", "J_unseen", "F_unseen")
"""Scores over all objects of a data set with seen categories: `memvos.metrics.YOUTUBE_MEASURES`."""
MEASURES = {
    "stored_fraction": ("quality", "frames stored, share"),
    "gated_fraction": ("quality", "checks rejected, share"),
    "gated_clean_fraction": ("quality", "clean masks rejected, share"),
    "gated_corrupted_fraction": ("quality", "corrupted masks rejected, share"),
    "frames_mean": ("memory", "frames in memory"),
    "mib_most": ("memory", "keys and values in memory, MiB at most"),
    "fps": ("speed", "frames per second"),
}
"""Measures a sweep may show beside the score: where result.json has them, and what they are called."""


@dataclass(frozen=True)
class Stage:
    """One training stage.

    Attributes:
        overrides: its Hydra overrides.
        start: the stage whose weights it starts from (None: from scratch).
        label: what it trains, or on what; shown in the report.
        gives: key of the configuration by which all that follows in a row is told the weights of this stage, which
            trains another network (a proposal detector): without the row's overrides, and once for all seeds. Where
            several stages give one key the latest counts; a stage may be named again to take its place.
    """

    id: str
    overrides: tuple[str, ...]
    start: str | None = None
    label: str = ""
    gives: str | None = None


@dataclass(frozen=True)
class Variant:
    """Another way to evaluate a trained row; `oracle`: the true IoU gates, `ungated`: every offered frame is stored."""

    id: str
    label: str
    evaluate: tuple[str, ...]
    oracle: bool = False
    ungated: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        overrides: Hydra overrides of training and evaluation.
        evaluate: overrides of evaluation only.
        stages: ids of the training stages, in order; empty for a floor.
        variants: ids of the variants evaluated beside the row itself.
        printed: the paper's numbers as printed, in percent; printed_on: the same by name of the data set.
        marks: the paper's tick columns.
        seeds: at most so many seeds (None: as many as the table runs).
        base: id of the row that this one is compared with; None for the table's base.
    """

    id: str
    label: str
    overrides: tuple[str, ...]
    evaluate: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    printed: dict[str, float] = field(default_factory=dict)
    printed_on: dict[str, dict[str, float]] = field(default_factory=dict)
    marks: dict[str, bool] = field(default_factory=dict)
    seeds: int | None = None
    base: str | None = None


@dataclass(frozen=True)
class Curve:
    """One curve of a sweep: a variant of the swept row, or (None) the row as it stands."""

    id: str
    label: str
    variant: str | None = None


@dataclass(frozen=True)
class Sweep:
    """A row evaluated again at several values of one setting, without training.

    Attributes:
        id: part of the names of its results, `<row>[__<variant>]_<id><value>`.
        title: what is studied; axis: the swept setting with its unit.
        row: the row whose network is evaluated.
        override: Hydra override; `{value}` is the value, `{ratio}` a hundredth of it.
        values: of the setting, in order; None switches a limit off.
        curves: the variants of the row that are swept.
        own: values at which a curve is that variant itself, which needs no evaluation more.
        against: what differences are taken to: {curve: ID} at the same value, or {value: V} of the same curve.
        also: further measures shown, of `quality`, `memory` and `speed` in result.json.
    """

    id: str
    title: str
    axis: str
    row: str
    override: str
    values: tuple[float | int | None, ...]
    curves: tuple[Curve, ...]
    own: tuple[float | int | None, ...] = ()
    against: dict[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    def variant(self, curve: Curve, value: float | int | None) -> str | None:
        """Name of the variant that holds this point."""
        if value in self.own:
            return curve.variant
        name = f"{self.id}{'none' if value is None else value}"
        return f"{curve.variant}_{name}" if curve.variant else name

    @property
    def setting(self) -> str:
        """Key of the configuration that is swept."""
        return self.override.partition("=")[0].lstrip("+")

    def at(self, value: float | int | None) -> str:
        """The Hydra override that sets this value."""
        if value is None:
            return self.override.format(value="null", ratio="null")
        return self.override.format(value=value, ratio=value and value / 100)
