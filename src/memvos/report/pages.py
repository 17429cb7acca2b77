"""The form of a report: header, grids, findings and figures as Markdown, as one HTML file, as text for a terminal."""

from __future__ import annotations

import base64
import html
import textwrap
from collections.abc import Iterable
from pathlib import Path

from memvos.report.sections import Section
from memvos.whole_file import write_text

Pairs = Iterable[tuple[str, str]]
"""(name, what is said of it), of a report's header and findings."""
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


def document(title: str, header: Pairs, parts: list[Section], findings: Pairs, figures: dict[str, Path]) -> str:
    """Header, first section, findings, figures and further sections as Markdown."""
    text = [f"# {_markdown(title)}", ""]
    text += [f"- {name}: {_markdown(value)}" for name, value in header] + [""]
    text += [*_grid(parts[0]), "", "## Findings", ""]
    text += [f"- **{_markdown(heading)}** {_markdown(sentence)}" for heading, sentence in findings] + [""]
    for name, path in figures.items():
        text += [f"![{_markdown(name)}]({path.name})", ""]
    for section in parts[1:]:
        text += [f"## {_markdown(section.title)}", "", *_grid(section), ""]
    return "\n".join(text)


def page(title: str, header: Pairs, parts: list[Section], findings: Pairs, figures: dict[str, Path]) -> str:
    """The same as one HTML file with its figures inside."""
    named = "".join(f"<dt>{_html(name)}</dt><dd>{_html(value)}</dd>" for name, value in header)
    listed = "".join(f"<li><b>{_html(heading)}</b> {_html(text)}</li>" for heading, text in findings)
    images = "".join(_image(name, path.read_bytes()) for name, path in figures.items())
    rest = "".join(f"<section><h2>{_html(part.title)}</h2>{_html_grid(part)}</section>" for part in parts[1:])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_html(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{_html(title)}</h1><dl>{named}</dl>{_html_grid(parts[0])}"
        f"<h2>Findings</h2><ul>{listed}</ul>{'<h2>Figures</h2>' if images else ''}{images}{rest}</body></html>\n"
    )


def plain(title: str, header: Pairs, section: Section, findings: Pairs) -> str:
    """Header, one section and findings for a terminal."""
    named = " · ".join(f"{name} {value}" for name, value in header)
    rows = [section.columns, *section.cells]
    widths = [max(len(row[i]) for row in rows) for i in range(len(section.columns))]
    lines = [
        "  ".join(_pad(c, w, i < section.words) for i, (c, w) in enumerate(zip(r, widths, strict=True))) for r in rows
    ]
    rule = "─" * len(lines[0])
    body = [lines[0], rule]
    for i, line in enumerate(lines[1:]):
        body += [rule] * (i > 0 and section.kinds[i : i + 1] != section.kinds[i - 1 : i]) + [line]
    told = [textwrap.fill(f"· {heading} {text}", 116, subsequent_indent="  ") for heading, text in findings]
    return "\n".join([title, named, "", *(line.rstrip() for line in body), "", *told, ""])


def replace_files(folder: Path, texts: dict[str, str]) -> list[Path]:
    """Write files, each in one piece or not at all."""
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _grid(section: Section) -> list[str]:
    align = [":--" if i < section.words else "--:" for i in range(len(section.columns))]
    rows = [[_markdown(cell) or " " for cell in row] for row in [section.columns, *section.cells]]
    return [_markdown(section.note), "", *("| " + " | ".join(row) + " |" for row in [rows[0], align, *rows[1:]])]


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
