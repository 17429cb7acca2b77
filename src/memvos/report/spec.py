"""A table as plain values, and the evaluations it consists of; `spec_file` reads it from experiments/*.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memvos.errors import InputError

MEASURES = {
    "stored_fraction": ("quality", "frames stored, share"),
    "gated_fraction": ("quality", "checks rejected, share"),
    "frames_mean": ("memory", "frames in memory"),
    "fps": ("speed", "frames per second"),
}
"""Measures a sweep may show beside the score: where result.json has them, and what they are called."""
SIZE = "{size}"
WEIGHTS = re.compile(r"\{weights\.(\w+)\}")
"""In overrides: the scale's suffix of a network's name; in `evaluate`: the trained weights of another row or lender."""


@dataclass(frozen=True)
class Stage:
    """One training stage.

    Attributes:
        overrides: its Hydra overrides.
        start: the stage whose weights it starts from (None: from scratch).
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

    def at(self, value: float | int | None) -> str:
        """The Hydra override that sets this value."""
        return self.override.format(value="null" if value is None else value, ratio=value and value / 100)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one row.

    Attributes:
        row: id of the row or floor.
        variant: name of the variant, None for the row itself.
        overrides: all Hydra overrides of this evaluation, the later ones win.
        seeds: at most so many seeds, None for as many as the table runs.
    """

    row: str
    variant: str | None
    overrides: tuple[str, ...]
    seeds: int | None = None

    @property
    def name(self) -> str:
        """Name of the results folder, `<row>[__<variant>]`."""
        return f"{self.row}__{self.variant}" if self.variant else self.row

    def folder(self, results: Path, seed: int) -> Path:
        """`results/<row>[__<variant>]/seed<k>`."""
        return Path(results) / self.name / f"seed{seed}"


@dataclass(frozen=True)
class Spec:
    """A table specification, as read from its file.

    Attributes:
        paper_data: what the printed numbers were measured on; paper_data_on: the same by name of the data set.
        references: rows that are only printed, results of others that the paper compares with.
        lenders: networks that rows take trained parts from; trained, but no lines of the table.
        sizes: what `{size}` stands for at a scale.
        course: show time and memory by frame of the longest video.
        evaluate_on: further overrides of all evaluations on a data set, by its name.
        bench: the benchmark that measures the rows in time, where nothing is trained and scored; metrics are then what
            it times, and printed numbers the paper's in its own unit.
    """

    name: str
    title: str
    source: str
    paper_data: str
    metrics: tuple[str, ...]
    main_metric: str
    base: str
    rows: tuple[Row, ...]
    floors: tuple[Row, ...] = ()
    stages: tuple[Stage, ...] = ()
    variants: tuple[Variant, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    course: bool = False
    evaluate_on: dict[str, tuple[str, ...]] = field(default_factory=dict)
    references: tuple[Row, ...] = ()
    paper_data_on: dict[str, str] = field(default_factory=dict)
    printed_decimals: int = 1
    seeds: dict[str, int] = field(default_factory=dict)
    tolerance: dict[str, float | None] = field(default_factory=dict)
    lenders: tuple[Row, ...] = ()
    sizes: dict[str, str] = field(default_factory=dict)
    bench: str | None = None

    def on(self, data: str) -> Spec:
        """The table for one data set, by its name: the numbers printed for it, and its `evaluate_on`."""

        def of(row: Row) -> Row:
            evaluate = row.evaluate + self.evaluate_on.get(data, ())
            return replace(row, printed=row.printed_on.get(data, row.printed), evaluate=evaluate)

        kinds = {kind: tuple(map(of, getattr(self, kind))) for kind in ("rows", "floors", "references")}
        return replace(self, paper_data=self.paper_data_on.get(data, self.paper_data), evaluate_on={}, **kinds)

    def row(self, id: str) -> Row:
        """The row, floor or lender of this id."""
        return _find(self.rows + self.floors + self.lenders, id, f"{self.name}: row")

    def stage(self, id: str) -> Stage:
        """The training stage of this id."""
        return _find(self.stages, id, f"{self.name}: stage")

    def variant(self, id: str) -> Variant:
        """The variant of this id."""
        return _find(self.variants, id, f"{self.name}: variant")

    def base_of(self, row: Row) -> Row | None:
        """The row that a row is compared with; None: it is the table's base."""
        base = row.base or self.base
        return None if base == row.id else self.row(base)

    def at(self, scale: str) -> Spec:
        """The table at a scale: `{size}` replaced in all overrides.

        Raises:
            InputError: if the table has no size for the scale.
        """

        def sized(entry: Any) -> Any:
            lists = {name: getattr(entry, name) for name in ("overrides", "evaluate") if hasattr(entry, name)}
            if not any(SIZE in text for part in lists.values() for text in part):
                return entry
            if scale not in self.sizes:
                known = ", ".join(self.sizes) or "none"
                raise InputError(f"{self.name} has no size for scale {scale!r}; choose one of {known}")
            return replace(
                entry, **{name: tuple(t.replace(SIZE, self.sizes[scale]) for t in part) for name, part in lists.items()}
            )

        kinds = ("rows", "floors", "lenders", "stages", "variants")
        return replace(self, **{kind: tuple(map(sized, getattr(self, kind))) for kind in kinds})

    def ungated(self, row: Row) -> str | None:
        """Name of the variant of `row` that stores every frame; None: the row itself does."""
        return next((id for id in row.variants if self.variant(id).ungated), None)

    def oracle(self, row: Row) -> str | None:
        """Name of the variant of `row` gated by the true IoU; None: it has none."""
        return next((id for id in row.variants if self.variant(id).oracle), None)

    def evaluations(self) -> Iterator[Evaluation]:
        """All evaluations: rows in the paper's order, each followed by its variants, then floors, then sweeps."""
        for row in self.rows + self.floors:
            yield Evaluation(row.id, None, merge(row.overrides, row.evaluate), row.seeds)
            for variant in row.variants:
                overrides = merge(row.overrides, row.evaluate, self.variant(variant).evaluate)
                yield Evaluation(row.id, variant, overrides, row.seeds)
        for sweep in self.sweeps:
            yield from self._swept(sweep)

    def _swept(self, sweep: Sweep) -> Iterator[Evaluation]:
        row = self.row(sweep.row)
        for curve in sweep.curves:
            variant = self.variant(curve.variant).evaluate if curve.variant else ()
            for value in sweep.values:
                if value not in sweep.own:
                    overrides = merge(row.overrides, row.evaluate, variant, (sweep.at(value),))
                    yield Evaluation(row.id, sweep.variant(curve, value), overrides, row.seeds)


def merge(*overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Join lists of Hydra overrides; of two values of one key the later stays, at the place of the first."""
    return tuple({text.partition("=")[0]: text for part in overrides for text in part}.values())


def lent_to(overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Ids of the rows and lenders whose trained weights these overrides name, `{weights.ID}`."""
    return tuple(dict.fromkeys(id for text in overrides for id in WEIGHTS.findall(text)))


def lend(overrides: tuple[str, ...], values: Mapping[str, str]) -> list[str]:
    """Overrides with `{weights.ID}` replaced by the value of the id."""
    return [WEIGHTS.sub(lambda match: values[match[1]], text) for text in overrides]


def _find(entries: tuple, id: str, what: str) -> Any:
    for entry in entries:
        if entry.id == id:
            return entry
    raise ValueError(f"{what} {id!r} does not exist; there are {', '.join(entry.id for entry in entries) or 'none'}")
