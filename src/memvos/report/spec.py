"""A table as a file: reads and checks experiments/*.yaml and unfolds it into the evaluations it consists of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SCHEMA = 1


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
        printed: the paper's numbers as printed, in percent.
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
    marks: dict[str, bool] = field(default_factory=dict)
    seeds: int | None = None


@dataclass(frozen=True)
class PollutionGate:
    """One curve of the pollution experiment; `variant` None is the row with its own gate."""

    id: str
    label: str
    variant: str | None


@dataclass(frozen=True)
class Pollution:
    """Corrupted masks offered to the memory bank: the row, the rates in percent, and the gates that are compared."""

    row: str
    rates: tuple[int, ...]
    override: str
    gates: tuple[PollutionGate, ...]

    def variant(self, gate: PollutionGate, rate: int) -> str | None:
        """Name of the variant that holds this point; rate 0 is the gate's own evaluation."""
        if rate == 0:
            return gate.variant
        return f"{gate.variant}_corrupted{rate}" if gate.variant else f"corrupted{rate}"


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
    """A table specification, as read from its file."""

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
    pollution: Pollution | None = None
    printed_decimals: int = 1
    seeds: dict[str, int] = field(default_factory=dict)
    tolerance: dict[str, float | None] = field(default_factory=dict)

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
        """All evaluations: rows in the paper's order, each followed by its variants, then floors, then pollution."""
        for row in self.rows + self.floors:
            yield Evaluation(row.id, None, merge(row.overrides, row.evaluate), row.seeds)
            for variant in row.variants:
                overrides = merge(row.overrides, row.evaluate, self.variant(variant).evaluate)
                yield Evaluation(row.id, variant, overrides, row.seeds)
        if self.pollution:
            yield from self._polluted(self.pollution)

    def _polluted(self, pollution: Pollution) -> Iterator[Evaluation]:
        row = self.row(pollution.row)
        for gate in pollution.gates:
            gated = merge(row.overrides, row.evaluate, self.variant(gate.variant).evaluate if gate.variant else ())
            for rate in pollution.rates:
                if rate:
                    corrupt = pollution.override.format(ratio=rate / 100)
                    yield Evaluation(row.id, pollution.variant(gate, rate), (*gated, corrupt), row.seeds)


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
    for key, kind in (("stages", Stage), ("variants", Variant), ("rows", Row), ("floors", Row)):
        raw[key] = tuple(_build(kind, entry, f"{path}: {key}") for entry in raw.get(key) or ())
    if raw.get("pollution"):
        gates = raw["pollution"].get("gates") or ()
        gates = tuple(_build(PollutionGate, gate, f"{path}: pollution gates") for gate in gates)
        raw["pollution"] = _build(Pollution, {**raw["pollution"], "gates": gates}, f"{path}: pollution")
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


def _check(spec: Spec, path: Path) -> None:
    for what, entries in (("row", spec.rows + spec.floors), ("stage", spec.stages), ("variant", spec.variants)):
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
    if spec.pollution:
        for gate in spec.pollution.gates:
            if gate.variant and gate.variant not in spec.row(spec.pollution.row).variants:
                raise ValueError(
                    f"{path}: pollution gate {gate.id!r}: row {spec.pollution.row!r} has no variant {gate.variant!r}"
                )


def _find(entries: tuple, id: str, what: str) -> Any:
    for entry in entries:
        if entry.id == id:
            return entry
    raise ValueError(f"{what} {id!r} does not exist; there are {', '.join(entry.id for entry in entries) or 'none'}")
