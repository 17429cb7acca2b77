"""The parts of a report as grids of text, the same for Markdown, HTML and the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memvos.report.compare import Interval, signed
from memvos.report.content import FLOOR, NOT_RUN, NOT_SCORED, RECALLS, REFERENCE, ROW, VARIANT, Line, Table, Value
from memvos.report.entries import MEASURES, Stage, Sweep
from memvos.report.sweeps import reference_label, value_text

DASH, TICK = "–", "✓"


@dataclass(frozen=True)
class Section:
    """A titled grid; `words`: number of leading columns that hold words; `kinds`: the kind of each row of cells."""

    title: str
    note: str
    columns: list[str]
    cells: list[list[str]]
    words: int = 1
    kinds: tuple[str, ...] = ()


def sections(table: Table) -> Iterator[Section]:
    """Every part of the report that has something to show, the main table first."""
    yield main(table)
    if table.comparisons:
        yield comparisons(table)
    if table.orderings:
        yield orderings(table)
    yield from (swept(table, sweep) for sweep in table.spec.sweeps)
    yield quality(table)
    if any(name in line.quality for line in table.lines for name in RECALLS):
        yield proposals(table)
    if table.attributes:
        yield attributes(table, "attributes", f"{table.spec.main_metric} by attribute", "Percent, means over objects.")
        note = "Percent, frames where the object is visible in the ground truth only."
        yield attributes(table, "present", f"{table.spec.main_metric} by attribute, object visible", note)
    if any(line.ran for line in table.lines):
        yield provenance(table)


def main(table: Table, brief: bool = False) -> Section:
    """Measured, printed, difference of every measure that has any; `brief` prints the paper's main metric only."""
    spec = table.spec
    marks = list(dict.fromkeys(mark for row in spec.rows for mark in row.marks))
    columns, cells = ["", *marks], []
    filled = {metric for line in table.lines for metric in (*line.scores, *line.printed)} | {spec.main_metric}
    metrics = [metric for metric in spec.metrics if metric in filled]
    for metric in metrics:
        columns += [metric] if brief and metric != spec.main_metric else [metric, "paper", "diff."]
    columns += [f"{spec.main_metric} visible", "to base, points [95 %]", "seeds"]
    for line in table.lines:
        row = [line.label, *(TICK if line.marks.get(mark) else "" for mark in marks)]
        for metric in metrics:
            row.append(_value(line, line.scores.get(metric)))
            if not brief or metric == spec.main_metric:
                row += [_printed(line, metric, spec.printed_decimals), _signed(line.miss(metric))]
        row += [_value(line, line.scores.get(f"{spec.main_metric}_present")), interval_text(line.difference)]
        cells.append([*row, ",".join(map(str, line.seeds)) or DASH])
    note = f"Percent. Paper: {spec.source}, on {spec.paper_data}. diff. = measured − paper. "
    note += f"{spec.main_metric} visible: only frames where the object is visible."
    if len({line.seeds for line in table.lines if line.seeds and line.kind != FLOOR}) > 1:
        note += " to base: over the seeds that both rows have."
    if stages := dict.fromkeys(id for row in spec.rows for id in row.stages):
        note += f" Trained in stages: {'; '.join(_stage(spec.stage(id)) for id in stages)}."
    return Section(spec.title, note, columns, cells, 1 + len(marks), tuple(line.kind for line in table.lines))


def comparisons(table: Table) -> Section:
    """Every difference with its interval and verdict."""
    cells, nothing = [], NOT_SCORED if table.unscored else NOT_RUN
    for item in table.comparisons:
        found = item.interval
        verdict, basis = (found.verdict, f"{found.seeds} × {found.clips}") if found else (nothing, DASH)
        cells.append([item.label, item.against, verdict, interval_text(found), basis])
    note = "Points of the main metric; 95 % interval by paired bootstrap over seeds and clips."
    return Section("Differences", note, ["", "against", "verdict", "difference [95 %]", "seeds × clips"], cells, 3)


def orderings(table: Table) -> Section:
    """Every ordering of the paper that was measured, whether it holds, and by how much there and here."""
    cells = [
        [item.better, item.worse, item.verdict, interval_text(item.interval), _signed(item.printed)]
        for item in table.orderings
    ]
    note = "Points of the main metric; undecided: the 95 % interval holds zero. Rows that were not run are left out."
    return Section("The paper's orderings", note, ["", "above", "verdict", "difference [95 %]", "paper"], cells, 3)


def swept(table: Table, sweep: Sweep) -> Section:
    """Main metric by curve and value, under it the difference to what the sweep is against, and further measures."""
    cells, nothing = [], NOT_SCORED if table.unscored else NOT_RUN
    known = {name for curve in sweep.curves for point in table.points(sweep.id, curve.id) for name in point.measures}
    for curve in sweep.curves:
        points = table.points(sweep.id, curve.id)
        cells.append([curve.label, *(f"{p.interval.mean:.1f}" if p.interval else nothing for p in points)])
        if any(point.gain for point in points):
            against = f"{curve.label}, difference to {reference_label(sweep)}"
            cells.append([against, *(interval_text(point.gain) for point in points)])
        for name in (name for name in sweep.also if name in known):
            numbers = (f"{p.measures[name]:.3g}" if name in p.measures else DASH for p in points)
            cells.append([f"{curve.label}, {MEASURES[name][1]}", *numbers])
    columns = ["", *map(value_text, sweep.values)]
    note = f"{table.spec.main_metric} in percent of {table.spec.row(sweep.row).label}, by {sweep.axis}."
    return Section(sweep.title, note, columns, cells)


def quality(table: Table) -> Section:
    """Calibration of the predicted scores, and what the memory did."""
    names = {
        "pearson": ("Pearson", "{:.2f}"),
        "ece": ("ECE", "{:.3f}"),
        "bias": ("bias", "{:+.3f}"),
        "gated_fraction": ("rejected", "{:.0%}"),
        "stored_fraction": ("stored", "{:.0%}"),
        "frames_mean": ("frames in memory", "{:.1f}"),
        "logit_std": ("logit deviation", "{:.2f}"),
        "fps": ("FPS", "{:.1f}"),
    }
    lines = [line for line in table.lines if line.kind in (ROW, VARIANT) or line.ran]
    cells = [
        [
            line.label,
            line.spearman_text or DASH,
            *(form.format(line.quality[key]) if key in line.quality else DASH for key, (_, form) in names.items()),
        ]
        for line in lines
    ]
    note = "Predicted score against true IoU (bias > 0: over-confident); rejected: of the frames put to the gate."
    return Section("Quality scores and memory", note, ["", "Spearman", *(name for name, _ in names.values())], cells)


def proposals(table: Table) -> Section:
    """The share of true objects that the proposals of a row cover: the ceiling of choosing among them."""
    lines = [line for line in table.lines if any(name in line.quality for name in RECALLS)]
    cells = [[line.label, *(f"{100 * line.quality[name]:.1f}" for name in RECALLS)] for line in lines]
    note = "Percent of objects and frames that some proposal covers at a mask IoU of .5 and .7."
    return Section("Recall of the proposals", note, ["", *RECALLS], cells)


def attributes(table: Table, of: str, title: str, note: str) -> Section:
    """Main metric of every line by attribute of the clip; `of` is the field of `Line` that holds it."""
    columns = ["", *(f"{name} ({objects})" for name, objects in table.attributes.items())]
    lines = [line for line in table.lines if line.kind in (ROW, FLOOR) or line.ran]
    cells = [[line.label, *(_value(line, getattr(line, of).get(name)) for name in table.attributes)] for line in lines]
    return Section(title, f"{note} In brackets: number of objects.", columns, cells)


def provenance(table: Table) -> Section:
    """Where each result comes from."""
    cells = []
    for result in table.results:
        proof = result.provenance
        weights = proof.get("weights") or {}
        cells.append(
            [
                str(result.folder.relative_to(table.results.folder)),
                str(proof.get("fingerprint") or DASH),
                str(weights.get("sha256") or DASH)[:12],
                f"{weights['matched']} / {weights['missing']}" if "matched" in weights else DASH,
                str(proof.get("created") or DASH),
            ]
        )
    columns = ["result", "fingerprint", "weights", "keys matched / missing", "created"]
    return Section("Provenance", "The whole of it is in each result.json.", columns, cells, 5)


def interval_text(interval: Interval | None) -> str:
    """+1.2 [+0.3, +2.1]; a dash where there is none."""
    return DASH if interval is None else str(interval)


def _stage(stage: Stage) -> str:
    return f"{stage.id} ({stage.label})" if stage.label else stage.id


def _value(line: Line, value: Value | None) -> str:
    if value is None:
        return DASH if line.ran or line.kind == REFERENCE else NOT_RUN
    return f"{value.mean:.1f}" if value.std is None else f"{value.mean:.1f} ± {value.std:.1f}"


def _printed(line: Line, metric: str, decimals: int) -> str:
    return f"{line.printed[metric]:.{decimals}f}" if metric in line.printed else DASH


def _signed(number: float | None) -> str:
    return DASH if number is None else signed(number)
