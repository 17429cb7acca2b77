"""A table as a file: reads and checks experiments/*.yaml and unfolds it into the evaluations it consists of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

SCHEMA = 1
MEASURES = {
    "stored_fraction": ("quality", "frames stored, share"),
    "gated_fraction": ("quality", "checks rejected, share"),
    "frames_mean": ("memory", "frames in memory"),
    "fps": ("speed", "frames per second"),
}
"""Measures a sweep may show beside the score: where result.json has them, and what they are called."""


@dataclass(frozen=True)
class Stage:
    """One training stage: its Hydra overrides and the stage whose weights it starts from (None: from scratch)."""

    id: str
    overrides: tuple[str, ...]
    start: str | None = None
    label: str = ""


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
        course: show time and memory by frame of the longest video.
        evaluate_on: further overrides of all evaluations on a data set, by its name.
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

    def on(self, data: str) -> Spec:
        """The table for one data set, by its name: the numbers printed for it, and its `evaluate_on`."""

        def of(row: Row) -> Row:
            evaluate = row.evaluate + self.evaluate_on.get(data, ())
            return replace(row, printed=row.printed_on.get(data, row.printed), evaluate=evaluate)

        kinds = {kind: tuple(map(of, getattr(self, kind))) for kind in ("rows", "floors", "references")}
        return replace(self, paper_data=self.paper_data_on.get(data, self.paper_data), evaluate_on={}, **kinds)

    def row(self, id: str) -> Row:
        """The row or floor of this id."""
        return _find(self.rows + self.floors, id, f"{self.name}: row")

    def stage(self, id: str) -> Stage:
        """The training stage of this id."""
        return _find(self.stages, id, f"{self.name}: stage")

    def variant(self, id: str) -> Variant:
        """The variant of this id."""
        return _find(self.variants, id, f"{self.name}: variant")

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


def load_spec(path: str | Path) -> Spec:
    """Read and check a table specification.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a key is missing or unknown, an id is used twice or names nothing, or the schema is another one.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no table specification at {path}; expected a file like experiments/qdmn_table5.yaml")
    raw = yaml.safe_load(path.read_text())
    if not isinstance(raw, dict) or raw.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path}: expected a mapping with `schema: {SCHEMA}`; see experiments/qdmn_table5.yaml")
    for key, kind in (("stages", Stage), ("variants", Variant), ("rows", Row), ("floors", Row), ("references", Row)):
        raw[key] = tuple(_build(kind, entry, f"{path}: {key}") for entry in raw.get(key) or ())
    raw["evaluate_on"] = {data: tuple(given) for data, given in (raw.get("evaluate_on") or {}).items()}
    raw["sweeps"] = tuple(_sweep(entry, f"{path}: sweeps") for entry in raw.get("sweeps") or ())
    spec = _build(Spec, raw, str(path))
    _check(spec, path)
    return spec


def _build(kind: type, entry: Any, where: str) -> Any:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected a mapping, got {entry!r}")
    entry = {("start" if kind is Stage and key == "from" else key): value for key, value in entry.items()}
    known = kind.__dataclass_fields__
    if unknown := set(entry) - set(known):
        raise ValueError(f"{where}: unknown key {sorted(unknown)[0]!r}; known are {', '.join(known)}")
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})
    except TypeError as error:
        raise ValueError(f"{where}, entry {entry.get('id', '')!r}: {str(error).split('.__init__() ')[-1]}") from error


def _sweep(entry: Any, where: str) -> Sweep:
    curves = entry.get("curves") or () if isinstance(entry, dict) else ()
    built = tuple(_build(Curve, curve, f"{where}, curves") for curve in curves)
    return _build(Sweep, {**entry, "curves": built} if isinstance(entry, dict) else entry, where)


def _check(spec: Spec, path: Path) -> None:
    kinds = {
        "row": spec.rows + spec.floors + spec.references,
        "stage": spec.stages,
        "variant": spec.variants,
        "sweep": spec.sweeps,
    }
    for what, entries in kinds.items():
        ids = [entry.id for entry in entries]
        if twice := {id for id in ids if ids.count(id) > 1}:
            raise ValueError(f"{path}: {what} id {sorted(twice)[0]!r} is used twice; give every {what} its own")
    if spec.main_metric not in spec.metrics:
        raise ValueError(f"{path}: main_metric {spec.main_metric!r} is not among metrics {', '.join(spec.metrics)}")
    spec.row(spec.base)
    for row in spec.rows + spec.floors:
        for id in row.stages:
            if (start := spec.stage(id).start) and start not in row.stages:
                raise ValueError(f"{path}: row {row.id!r} runs stage {id!r} but not {start!r}, which it starts from")
        for id in row.variants:
            spec.variant(id)
    for sweep in spec.sweeps:
        _check_sweep(spec, sweep, f"{path}: sweep {sweep.id!r}")


def _check_sweep(spec: Spec, sweep: Sweep, where: str) -> None:
    for curve in sweep.curves:
        if curve.variant and curve.variant not in spec.row(sweep.row).variants:
            raise ValueError(f"{where}, curve {curve.id!r}: row {sweep.row!r} has no variant {curve.variant!r}")
    if unknown := [name for name in sweep.also if name not in MEASURES]:
        raise ValueError(f"{where}: unknown measure {unknown[0]!r}; known are {', '.join(MEASURES)}")
    known = {"curve": [curve.id for curve in sweep.curves], "value": list(sweep.values)}
    for key, wanted in sweep.against.items():
        if wanted not in known.get(key, ()):
            raise ValueError(
                f"{where}: expected against {{curve: ID}} or {{value: V}} of its own, got {{{key}: {wanted}}}"
            )


def _find(entries: tuple, id: str, what: str) -> Any:
    for entry in entries:
        if entry.id == id:
            return entry
    raise ValueError(f"{what} {id!r} does not exist; there are {', '.join(entry.id for entry in entries) or 'none'}")
