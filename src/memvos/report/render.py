"""Writes a table: CSV, Markdown, one HTML file without scripts, its figures and their numbers; text for a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from memvos.report.content import QualityBins, Table
from memvos.report.entries import Sweep
from memvos.report.figures import draw
from memvos.report.pages import document, page, plain, replace_files
from memvos.report.quality_bins import EDGES
from memvos.report.sections import main, sections

BINS_FILE = "quality_bins.csv"


def write(table: Table, out_dir: str | Path) -> list[Path]:
    """Write table.csv, .md, .html, <sweep>.csv, quality_bins.csv and figures; returns the files, table.csv first.

    What an earlier call wrote and this one has nothing to show for goes.
    """
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    figures = draw(table, out)
    texts = {"table.csv": to_csv(table), "table.md": to_markdown(table, figures), "table.html": to_html(table, figures)}
    shown = {f"{sweep.id}.csv": sweep_to_csv(table, sweep) for sweep in table.spec.sweeps if _ran(table, sweep)}
    shown |= {BINS_FILE: bins_to_csv(table.bins)} if table.bins else {}
    for name in {BINS_FILE, *(f"{sweep.id}.csv" for sweep in table.spec.sweeps)} - shown.keys():
        (out / name).unlink(missing_ok=True)
    texts |= shown
    return [*replace_files(out, texts), *figures.values()]


def to_csv(table: Table) -> str:
    """One line per line of the table; numbers in percent, an empty cell where there is none."""
    metrics, attributes = table.spec.metrics, list(table.attributes)
    measures = list(dict.fromkeys([*metrics, *(name for line in table.lines for name in line.scores)]))
    marks = list(dict.fromkeys(mark for row in table.spec.rows for mark in row.marks))
    text = io.StringIO()
    columns = ["kind", "row", "variant", "label", *marks, "status", "seeds"]
    columns += [
        f"{m}{end}" for m in measures for end in (("", "_std", "_paper", "_diff") if m in metrics else ("", "_std"))
    ]
    columns += [f"{edge}_{of}" for of in ("score", "to_base") for edge in ("low", "high")] + ["to_base", "verdict"]
    columns += [f"attribute:{name}" for name in attributes]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for line in table.lines:
        cells = {"kind": line.kind, "row": line.row, "variant": line.variant, "label": line.label}
        cells |= {"status": "done" if line.ran else "not run", "seeds": " ".join(map(str, line.seeds))}
        cells |= {mark: int(bool(line.marks.get(mark))) for mark in marks}
        for name, value in line.scores.items():
            cells |= {name: _number(value.mean), f"{name}_std": _number(value.std)}
        for name in metrics:
            cells |= {f"{name}_paper": line.printed.get(name), f"{name}_diff": _number(line.miss(name))}
        for of, interval in (("score", line.interval), ("to_base", line.difference)):
            if interval:
                cells |= {f"low_{of}": _number(interval.low), f"high_{of}": _number(interval.high)}
        if line.difference:
            cells |= {"to_base": _number(line.difference.mean), "verdict": line.difference.verdict}
        cells |= {f"attribute:{name}": _number(value.mean) for name, value in line.attributes.items()}
        writer.writerow(cells)
    return text.getvalue()


def sweep_to_csv(table: Table, sweep: Sweep) -> str:
    """One line per point: main metric in percent, difference in points, both with intervals, and further measures."""
    text = io.StringIO()
    metric = table.spec.main_metric
    columns = ["curve", "value", metric, "low", "high", "difference", "low_difference", "high_difference"]
    writer = csv.DictWriter(text, [*columns, *sweep.also], lineterminator="\n")
    writer.writeheader()
    for curve in sweep.curves:
        for point in table.points(sweep.id, curve.id):
            cells = {"curve": curve.id, "value": "none" if point.value is None else point.value, **point.measures}
            for interval, (mean, low, high) in ((point.interval, columns[2:5]), (point.gain, columns[5:])):
                if interval:
                    numbers = (interval.mean, interval.low, interval.high)
                    cells |= dict(zip((mean, low, high), map(_number, numbers), strict=True))
            writer.writerow(cells)
    return text.getvalue()


def bins_to_csv(rows: Iterable[QualityBins]) -> str:
    """One line per row and bin: the numbers behind calibration.png and distribution.png."""
    text = io.StringIO()
    columns = ["row", "from", "to", "pairs", "true_iou", "frames_by_prediction", "frames_by_truth"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        arrays = (row.count, row.true, row.predicted_frames, row.true_frames)
        for low, high, count, *shares in zip(EDGES[:-1], EDGES[1:], *arrays, strict=True):
            writer.writerow([row.row, f"{low:.2f}", f"{high:.2f}", count, *map(_number, shares)])
    return text.getvalue()


def to_markdown(table: Table, figures: dict[str, Path]) -> str:
    """The report as Markdown; figures are referred to by file name."""
    return document(table.spec.title, table.header, list(sections(table)), table.findings, figures)


def to_html(table: Table, figures: dict[str, Path]) -> str:
    """The report as one HTML file with its figures inside."""
    return page(table.spec.title, table.header, list(sections(table)), table.findings, figures)


def to_text(table: Table) -> str:
    """The table and its findings for a terminal."""
    return plain(table.spec.title, table.header, main(table, brief=True), table.findings)


def _ran(table: Table, sweep: Sweep) -> bool:
    return any(point.interval for curve in sweep.curves for point in table.points(sweep.id, curve.id))


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.4f}"
