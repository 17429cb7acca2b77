"""Builds a table from its specification and its results: measured beside printed, floors, gates, sweeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

from memvos.report.compare import bootstrap
from memvos.report.content import (
    FLOOR,
    GATE,
    NOT_RUN,
    ORACLE,
    RECALLS,
    REFERENCE,
    ROW,
    VARIANT,
    Comparison,
    Line,
    Ordering,
    Table,
    Value,
)
from memvos.report.entries import Row
from memvos.report.findings import find
from memvos.report.quality_bins import quality_bins
from memvos.report.results import Result, Results
from memvos.report.spec import Spec
from memvos.report.spec_file import load_spec
from memvos.report.sweeps import points


def build(spec_path: str | Path | Spec, results_dir: str | Path) -> Table:
    """Build the table of a specification from whatever of its results lies under `results_dir`.

    Args:
        spec_path: the specification or its file.
        results_dir: holds `<row>[__<variant>]/seed<k>/result.json`.

    Raises:
        FileNotFoundError: if there is no such specification.
        ValueError: if specification or results are faulty, or results of different scales or data lie together.
    """
    spec = spec_path if isinstance(spec_path, Spec) else load_spec(spec_path)
    results = Results(spec, results_dir)
    if data := next((result.content.get("data") for result in results), None):
        spec = spec.on(data)
    lines = [_line(spec, results, ROW, row, None) for row in spec.rows]
    lines += [_line(spec, results, VARIANT, row, variant) for row in spec.rows for variant in row.variants]
    lines += [_line(spec, results, FLOOR, row, None) for row in spec.floors]
    lines += [Line(REFERENCE, row.id, None, row.label, row.marks, row.printed) for row in spec.references]
    table = Table(
        spec,
        results,
        _header(results),
        tuple(lines),
        tuple(_comparisons(spec, results)),
        tuple(points(spec, results)),
        tuple(quality_bins(lines, results)),
        tuple(_orderings(spec, results)),
    )
    return replace(table, findings=tuple(find(table)))


def _comparisons(spec: Spec, results: Results) -> Iterator[Comparison]:
    """Rows to the base row, gates on one network to no gate, trained rows to floors."""
    metric = spec.main_metric

    def compare(kind: str, label: str, first: tuple, against: str, second: tuple) -> Comparison:
        return Comparison(kind, label, against, results.difference(first, second, metric), first)

    for row in spec.rows:
        if base := spec.base_of(row):
            yield compare(ROW, row.label, (row.id, None), base.label, (base.id, None))
    for row in spec.rows:
        ungated, oracle = spec.ungated(row), spec.oracle(row)
        if ungated:
            yield compare(GATE, f"{row.label}, own gate", (row.id, None), "no gate", (row.id, ungated))
        if oracle:
            yield compare(
                ORACLE, f"{row.label}, {spec.variant(oracle).label}", (row.id, oracle), "no gate", (row.id, ungated)
            )
    for row in spec.rows:
        for floor in spec.floors:
            yield compare(FLOOR, row.label, (row.id, None), floor.label, (floor.id, None))


def _orderings(spec: Spec, results: Results) -> Iterator[Ordering]:
    """The paper's orderings, as far as both rows were run and scored."""
    metric = spec.main_metric
    for better, worse in (map(spec.row, pair) for pair in spec.orderings):
        interval = results.difference((better.id, None), (worse.id, None), metric)
        both = metric in better.printed and metric in worse.printed
        printed = better.printed[metric] - worse.printed[metric] if both else None
        if interval:
            yield Ordering(better.label, worse.label, interval, printed)


def _line(spec: Spec, results: Results, kind: str, row: Row, variant: str | None) -> Line:
    label = f"{row.label}, {spec.variant(variant).label}" if variant else row.label
    runs = results.of(row.id, variant)
    if not runs:
        printed = {} if variant else row.printed
        return Line(kind, row.id, variant, label, row.marks, printed)
    metric, here = spec.main_metric, (row.id, variant)
    base = ((spec.base_of(row) or row).id, None)
    own = list(runs.values())
    names = sorted({name for run in own for name in run.content.get("attributes") or {}})
    return Line(
        kind=kind,
        row=row.id,
        variant=variant,
        label=label,
        marks=row.marks,
        printed={} if variant else row.printed,
        scores=_values(
            own, [(part, name) for part in ("scores", "youtube") for name in own[0].content.get(part) or {}], 100
        ),
        attributes=_values(own, [("attributes", name, metric) for name in names], 100, 1),
        present=_values(own, [("attributes", name, f"{metric}_present") for name in names], 100, 1),
        quality={name: value.mean for name, value in _values(own, _QUALITY, 1).items()},
        interval=bootstrap(results.points(*here, metric)),
        difference=None if here == base else results.difference(here, base, metric),
        seeds=tuple(runs),
        spearman=results.rank_correlation(*here),
        constant=sum(_is_constant(run) for run in own),
    )


def _is_constant(run: Result) -> bool:
    """Whether scores were predicted, all of them equal."""
    return run.value("quality", "bias") is not None and run.value("quality", "spearman") is None


_QUALITY = [
    ("quality", name) for name in ("spearman", "pearson", "ece", "bias", "mean", "stored_fraction", "gated_fraction")
]
_QUALITY += [("memory", "logit_std"), ("memory", "frames_mean"), ("speed", "fps")]
_QUALITY += [("proposals", name) for name in RECALLS]


def _values(runs: list[Result], paths: Iterable[tuple[str, ...]], factor: float, name_at: int = -1) -> dict[str, Value]:
    """Mean and deviation over runs of the numbers at `paths` of result.json; those no run has are left out."""
    found = {}
    for path in paths:
        values = [factor * value for run in runs if (value := run.value(*path)) is not None]
        if values:
            found[path[name_at]] = Value(fmean(values), stdev(values) if len(values) > 1 else None)
    return found


def _header(results: Results) -> tuple[tuple[str, str], ...]:
    """What the table was measured on; several values of one entry are all named."""
    runs = list(results)

    def every(*values: object) -> str:
        seen = dict.fromkeys(str(value) for value in values if value not in (None, ""))
        return ", ".join(seen) or ("–" if runs else NOT_RUN)

    def of(name: str) -> str:
        return every(*(run.content.get(name) for run in runs))

    def from_provenance(name: str) -> str:
        return every(*(run.provenance.get(name) for run in runs))

    sources = {run.provenance["weights"].get("trained_on") for run in runs if run.provenance.get("weights")}
    elsewhere = every(*sorted(sources - {None})) if sources - {None, of("data")} else None
    sizes = every(*(f"{r.content['sequences']} sequences, {r.content['objects']} objects" for r in runs))
    return (
        ("scale", of("scale")),
        ("data", of("data")),
        *((("trained on", elsewhere),) if elsewhere else ()),
        ("difficulty", of("difficulty")),
        ("split", f"{of('split')} ({sizes})" if runs else NOT_RUN),
        ("seeds", every(*sorted({run.content["seed"] for run in runs}))),
        ("device", from_provenance("device")),
        ("precision", from_provenance("precision")),
        ("git commit", from_provenance("git")),
    )
