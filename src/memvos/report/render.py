"""Writes a table: CSV, Markdown, one HTML file without scripts, its figures and their numbers; text for a terminal."""

from __future__ import annotations

import base64
import csv
import html
import io
import textwrap
from collections.abc import Iterable
from pathlib import Path

from memvos.report.content import QualityBins, Table
from memvos.report.entries import Sweep
from memvos.report.figures import draw
from memvos.report.quality_bins import EDGES
from memvos.report.sections import Section, main, sections

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 76rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .3rem }
h2 { font-size: 1.1rem; margin: 2rem 0 .3rem }
p.note { color: #555; margin: .2rem 0 .6rem; font-size: .87rem; max-width: 60rem }
dl { display: grid; grid-template-columns: max-content auto; gap: .1rem 1rem; margin: .5rem 0 1.5rem }
dt { color: #555 }
dd { margin: 0 }
div.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e3e3e3 }
th { border-bottom: 2px solid #333; font-weight: 600; vertical-align: bottom }
.word { text-align: left }
tr.variant td { color: #555 }
tr.floor td { background: #f5f5f2 }
tr.first td { border-top: 2px solid #aaa }
img { display: block; max-width: 100%; height: auto; margin: 1rem 0 }
ul { padding-left: 1.2rem; max-width: 60rem }
li { margin: .25rem 0 }
@media print {
  body { margin: 0; max-width: none; font-size: 11px }
  table { font-size: 8.5px } th, td { padding: .15rem .3rem }
  tr, img, h2 { break-inside: avoid } h2 { break-after: avoid } img { max-width: 70% }
}
"""


def write(table: Table, out_dir: str | Path) -> list[Path]:
    """Write table.csv, .md, .html, <sweep>.csv, quality_bins.csv and figures; returns the files, table.csv first."""
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    figures = draw(table, out)
    texts = {"table.csv": to_csv(table), "table.md": to_markdown(table, figures), "table.html": to_html(table, figures)}
    texts |= {f"{sweep.id}.csv": sweep_to_csv(table, sweep) for sweep in table.spec.sweeps}
    if table.bins:
        texts["quality_bins.csv"] = bins_to_csv(table.bins)
    for name, text in texts.items():
        draft = out / f".{name}.part"
        draft.write_text(text, encoding="utf-8")
        draft.replace(out / name)
    return [*(out / name for name in texts), *figures.values()]


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
    parts = list(sections(table))
    text = [f"# {_markdown(table.spec.title)}", ""]
    text += [f"- {name}: {_markdown(value)}" for name, value in table.header] + [""]
    text += [*_grid(parts[0]), "", "## Findings", ""]
    text += [f"- **{_markdown(title)}** {_markdown(sentence)}" for title, sentence in table.findings] + [""]
    for title, path in figures.items():
        text += [f"![{_markdown(title)}]({path.name})", ""]
    for section in parts[1:]:
        text += [f"## {_markdown(section.title)}", "", *_grid(section), ""]
    return "\n".join(text)


def to_html(table: Table, figures: dict[str, Path]) -> str:
    """The report as one HTML file with its figures inside."""
    parts = list(sections(table))
    header = "".join(f"<dt>{_html(name)}</dt><dd>{_html(value)}</dd>" for name, value in table.header)
    findings = "".join(f"<li><b>{_html(title)}</b> {_html(text)}</li>" for title, text in table.findings)
    images = "".join(_image(title, path.read_bytes()) for title, path in figures.items())
    rest = "".join(f"<section><h2>{_html(part.title)}</h2>{_html_grid(part)}</section>" for part in parts[1:])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_html(table.spec.title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{_html(table.spec.title)}</h1><dl>{header}</dl>{_html_grid(parts[0])}"
        f"<h2>Findings</h2><ul>{findings}</ul><h2>Figures</h2>{images}{rest}</body></html>\n"
    )


def to_text(table: Table) -> str:
    """The table and its findings for a terminal."""
    header = " · ".join(f"{name} {value}" for name, value in table.header)
    section = main(table, brief=True)
    rows = [section.columns, *section.cells]
    widths = [max(len(row[i]) for row in rows) for i in range(len(section.columns))]
    lines = [
        "  ".join(_pad(c, w, i < section.words) for i, (c, w) in enumerate(zip(r, widths, strict=True))) for r in rows
    ]
    rule = "─" * len(lines[0])
    body = [lines[0], rule]
    for i, line in enumerate(lines[1:]):
        body += [rule] * (i > 0 and section.kinds[i] != section.kinds[i - 1]) + [line]
    findings = [textwrap.fill(f"· {title} {text}", 116, subsequent_indent="  ") for title, text in table.findings]
    return "\n".join([table.spec.title, header, "", *(line.rstrip() for line in body), "", *findings, ""])


def _grid(section: Section) -> list[str]:
    align = [":--" if i < section.words else "--:" for i in range(len(section.columns))]
    rows = [[_markdown(cell) or " " for cell in row] for row in [section.columns, *section.cells]]
    return [section.note, "", *("| " + " | ".join(row) + " |" for row in [rows[0], align, *rows[1:]])]


def _html_grid(section: Section) -> str:
    def cells(tag: str, row: list[str]) -> str:
        return "".join(
            f"<{tag}{' class=word' if i < section.words else ''}>{_html(cell)}</{tag}>" for i, cell in enumerate(row)
        )

    body, before = [], None
    for i, row in enumerate(section.cells):
        kind = section.kinds[i] if section.kinds else ""
        first = " first" if before not in (None, kind) else ""
        body.append(f'<tr class="{kind}{first}">{cells("td", row)}</tr>')
        before = kind
    head = f"<thead><tr>{cells('th', section.columns)}</tr></thead>"
    grid = f'<div class="wide"><table>{head}<tbody>{"".join(body)}</tbody></table></div>'
    return f'<p class="note">{_html(section.note)}</p>{grid}'


def _image(title: str, png: bytes) -> str:
    """A PNG inside the page, at two thirds of its pixels; its width stands in bytes 16 to 19."""
    width = int.from_bytes(png[16:20], "big") * 2 // 3
    return f'<img alt="{_html(title)}" width="{width}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _html(text: str) -> str:
    return html.escape(str(text))


def _markdown(text: str) -> str:
    return str(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _pad(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.4f}"
