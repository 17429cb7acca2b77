"""The report of a table as a run of its own in W&B: its grids and its figures, in the group of its rows."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memvos.app import composition
from memvos.app.runs import instantiate_all
from memvos.report.content import FIGURES, GRIDS

NAME = "report"


def log_report(overrides: Sequence[str], table: str, folder: Path, files: Sequence[Path]) -> None:
    """Log the written files of a report to every logger that takes tables and pictures; others, and none, get nothing.

    Args:
        overrides: of the table's evaluations, which choose the loggers.
        table: name of the table, the group of the run.
        folder: of the results; a later report of the same goes to the same run.
        files: what `memvos.report.render.write` wrote.
    """
    named = [f"table={composition.quoted(table)}", f"run_name={NAME}", f"output_dir={composition.quoted(folder)}"]
    settings = composition.resolved(composition.compose("evaluate", [*overrides, *named]))
    group: dict[str, Any] = settings["logger"] or {}
    if "wandb" in group:
        group["wandb"]["job_type"] = NAME
    takers = [one for one in instantiate_all(group) if hasattr(one, "log_table") and hasattr(one, "log_image")]
    if not takers:
        return
    from memvos.lit.loggers import told

    with told(takers, settings):
        for logger in takers:
            for path in files:
                _log(logger, path)


def _log(logger: Any, path: Path) -> None:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            columns, *rows = csv.reader(file)
        logger.log_table(f"{GRIDS}/{path.stem}", columns, rows)
    elif path.suffix == ".png":
        logger.log_image(f"{FIGURES}/{path.stem}", [str(path)])
