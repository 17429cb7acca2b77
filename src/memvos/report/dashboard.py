"""The W&B dashboard of a table as code: panels over what its runs log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wandb_workspaces import expr
from wandb_workspaces.reports.v2 import (
    BarPlot,
    Config,
    LinePlot,
    MediaBrowser,
    ScatterPlot,
    SummaryMetric,
    WeavePanelSummaryTable,
)
from wandb_workspaces.workspaces import RunsetSettings, Section, Workspace, WorkspaceSettings

from memvos.errors import InputError
from memvos.report.content import FIGURES, GRIDS
from memvos.report.entries import MEASURES, Sweep
from memvos.report.spec import Spec

RUN = "run_name"
"""Key of the configuration that the seeds of one training or evaluation of a table share: panels average over them."""
SCORES = ("J&F", "J", "F")
TRAINING = ("train/loss", "val/J&F", "train/score_iou_correlation")
BESIDE = {
    "Quality scores": ("quality/spearman", "quality/ece"),
    "Memory": ("quality/stored_fraction", "quality/gated_fraction", "memory/frames_mean"),
}
"""What evaluations log beside their scores, as `<split>/NAME`, by section."""
SPEED = "speed/fps"
PICTURES = ("table", "differences", "calibration", "distribution", "course")
"""Figures of a report, beside one for each sweep."""
MOST_RUNS = 100
"""Shown in a panel."""


def dashboard(
    entity: str, project: str, spec: Spec | None = None, over: Sequence[str] = (), split: str = "test"
) -> Workspace:
    """The dashboard of a table, or of all runs of a project; its `save()` sends it to W&B as a new view.

    Args:
        entity: user or team.
        project: that the runs are in.
        spec: a table; its runs alone are shown, by its metrics, with panels for its sweeps and its report.
        over: further keys of the configuration to draw the score over, as those of a `-m` sweep.
        split: whose scores are shown.

    Raises:
        InputError: if the table is timed by a benchmark, whose numbers no run logs.
    """
    if spec and spec.bench:
        raise InputError(
            f"{spec.name} is timed by `memvos bench {spec.bench}`, which logs no runs; name a trained table"
        )
    score = f"{split}/{spec.main_metric if spec else SCORES[0]}"
    sections = [
        _bars("Scores", (f"{split}/{name}" for name in (spec.metrics if spec else SCORES))),
        *(_sweep(sweep, split, score) for sweep in (spec.sweeps if spec else ())),
        *(_scatters(f"Over {key}", Config(key), [score]) for key in over),
        _section("Training", (LinePlot(y=[key]) for key in TRAINING)),
        *(_bars(title, (f"{split}/{name}" for name in names)) for title, names in BESIDE.items()),
        _scatters("Speed", SummaryMetric(f"{split}/{SPEED}"), [score]),
        *([_report(spec)] if spec else []),
    ]
    runs = RunsetSettings(
        filters=[expr.Metric("Group") == spec.name] if spec else [],
        groupby=[expr.Config(RUN)] if spec else [],
        pinned_columns=[f"summary:{score}"],
    )
    settings = WorkspaceSettings(max_runs=MOST_RUNS)
    return Workspace(entity, project, spec.title if spec else project, sections, settings, runs)


def _sweep(sweep: Sweep, split: str, score: str) -> Section:
    """The score, and what else the sweep shows, over the setting."""
    beside = (f"{split}/{MEASURES[name][0]}/{name}" for name in sweep.also)
    return _scatters(sweep.title, Config(sweep.setting), [score, *beside])


def _report(spec: Spec) -> Section:
    """Grids and pictures of the run `report`."""
    sweeps = [sweep.id for sweep in spec.sweeps]
    grids = (WeavePanelSummaryTable(table_name=f"{GRIDS}/{name}") for name in ("table", *sweeps))
    pictures = (MediaBrowser(media_keys=[f"{FIGURES}/{name}"]) for name in (*PICTURES, *sweeps))
    return _section("Report", (*grids, *pictures))


def _bars(title: str, keys: Iterable[str]) -> Section:
    return _section(title, (BarPlot(metrics=[key]) for key in keys))


def _scatters(title: str, x: Config | SummaryMetric, keys: Iterable[str]) -> Section:
    return _section(title, (ScatterPlot(x=x, y=SummaryMetric(key)) for key in keys))


def _section(title: str, panels: Iterable) -> Section:
    return Section(title, list(panels), is_open=True)
