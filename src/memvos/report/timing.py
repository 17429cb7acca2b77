"""Writes a table that a benchmark measured: the same files as of any other table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memvos.report.pages import document, page, plain, replace_files
from memvos.report.sections import Section
from memvos.report.spec import Spec


@dataclass(frozen=True)
class Timing:
    """What a benchmark measured.

    Attributes:
        spec: the table.
        header: what it was measured on, by name.
        section: measured beside printed.
        lines: of table.csv, with equal keys.
        findings: what the numbers mean.
        figures: by title.
    """

    spec: Spec
    header: tuple[tuple[str, str], ...]
    section: Section
    lines: Sequence[Mapping[str, Any]]
    findings: tuple[tuple[str, str], ...] = ()
    figures: dict[str, Path] = field(default_factory=dict)


def write(timing: Timing, folder: Path) -> list[Path]:
    """Write table.csv, .md and .html; returns the files, and those of the figures."""
    parts = (timing.spec.title, timing.header, [timing.section], timing.findings, timing.figures)
    texts = {"table.csv": _csv(timing.lines), "table.md": document(*parts), "table.html": page(*parts)}
    return [*replace_files(folder, texts), *timing.figures.values()]


def to_text(timing: Timing) -> str:
    """The table and its findings for a terminal."""
    return plain(timing.spec.title, timing.header, timing.section, timing.findings)


def _csv(lines: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
