"""A table as plain values, and the evaluations it consists of; `spec_file` reads it from experiments/*.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memvos.errors import InputError
from memvos.report.entries import Row, Stage, Sweep, Variant
from memvos.report.overrides import SIZE, merge


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one row.

    Attributes:
        row: id of the row or floor.
        variant: name of the variant, None for the row itself.
        overrides: all Hydra overrides of this evaluation, the later ones win.
        seeds: at most so many seeds, None for as many as the table runs.
        own: those among the overrides that make it another than the evaluation of the row itself.
    """

    row: str
    variant: str | None
    overrides: tuple[str, ...]
    seeds: int | None = None
    own: tuple[str, ...] = ()

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
        paper_data: what the printed numbers were measured on; paper_data_on: the same by name of the data set, for
            those that are it. On any other the numbers only stand beside the measured ones.
        references: rows that are only printed, results of others that the paper compares with.
        lenders: networks that rows take trained parts from; trained, but no lines of the table.
        sizes: what `{size}` stands for at a scale.
        course: show time and memory by frame of the longest video.
        evaluate_on: further overrides of all evaluations on a data set, by its name.
        bench: the benchmark that measures the rows in time, where nothing is trained and scored; metrics are then what
            it times, and printed numbers the paper's in its own unit.
        orderings: pairs of rows, of which the paper says that the first is better than the second, or as good.
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
    orderings: tuple[tuple[str, ...], ...] = ()

    def on(self, data: str) -> Spec:
        """The table for one data set, by its name: its numbers as printed, its `evaluate_on`, tolerance if printed."""

        def of(row: Row) -> Row:
            evaluate = row.evaluate + self.evaluate_on.get(data, ())
            return replace(row, printed=row.printed_on.get(data, row.printed), evaluate=evaluate)

        kinds = {kind: tuple(map(of, getattr(self, kind))) for kind in ("rows", "floors", "references")}
        paper_data, printed = self.paper_data_on.get(data, self.paper_data), data in self.paper_data_on
        tolerance = self.tolerance if printed else {}
        return replace(self, paper_data=paper_data, tolerance=tolerance, evaluate_on={}, **kinds)

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

    def at(self, scale: str, size: str | None = None) -> Spec:
        """The table at a scale: `{size}` replaced in all overrides, by `size` or else by what the table has for it.

        Raises:
            InputError: if the table has no size for the scale.
        """

        def sized(entry: Any) -> Any:
            lists = {name: getattr(entry, name) for name in ("overrides", "evaluate") if hasattr(entry, name)}
            if not any(SIZE in text for part in lists.values() for text in part):
                return entry
            if size is None and scale not in self.sizes:
                known = ", ".join(self.sizes) or "none"
                raise InputError(f"{self.name} has no size for scale {scale!r}; choose one of {known}")
            put = self.sizes[scale] if size is None else size
            return replace(entry, **{name: tuple(t.replace(SIZE, put) for t in part) for name, part in lists.items()})

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
                own = self.variant(variant).evaluate
                yield Evaluation(row.id, variant, merge(row.overrides, row.evaluate, own), row.seeds, own)
        for sweep in self.sweeps:
            yield from self._swept(sweep)

    def _swept(self, sweep: Sweep) -> Iterator[Evaluation]:
        row = self.row(sweep.row)
        for curve in sweep.curves:
            variant = self.variant(curve.variant).evaluate if curve.variant else ()
            for value in sweep.values:
                if value not in sweep.own:
                    own = merge(variant, (sweep.at(value),))
                    overrides = merge(row.overrides, row.evaluate, own)
                    yield Evaluation(row.id, sweep.variant(curve, value), overrides, row.seeds, own)


def _find(entries: tuple, id: str, what: str) -> Any:
    for entry in entries:
        if entry.id == id:
            return entry
    raise ValueError(f"{what} {id!r} does not exist; there are {', '.join(entry.id for entry in entries) or 'none'}")
