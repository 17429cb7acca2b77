"""Pictures of a table: rows with intervals, differences, calibration of the quality scores, sweeps."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from memvos.report.compare import GAINS, LOSES, Interval
from memvos.report.content import FLOOR, ROW, VARIANT, Table
from memvos.report.entries import MEASURES, Sweep
from memvos.report.quality_bins import EDGES
from memvos.report.sweeps import reference_label, value_text
from memvos.whole_file import whole_file

BLUE, GREEN, RED, GREY, LIGHT = "#2b6cb0", "#2f855a", "#c05621", "#8a8a84", "#a9c4e4"
Painter = Callable[[Table], Figure | None]
LOOKS = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 150,
    "legend.frameon": False,
}


def draw(table: Table, out_dir: str | Path) -> dict[str, Path]:
    """Write the figures that have something to show as PNG; title → file.

    table.png: rows, other gates and floors with 95 % intervals, the paper's numbers as rings. differences.png: the
    comparisons. calibration.png: true IoU by predicted score. distribution.png: the paper's histogram of both.
    course.png: time and memory by frame, if the table asks for it. <sweep>.png: score, and further measures, over the
    swept setting.
    """
    painters: list[tuple[str, str, Painter]] = [
        ("Rows and floors with 95 % intervals", "table.png", rows),
        ("Differences with 95 % intervals", "differences.png", differences),
        ("Calibration of the predicted quality", "calibration.png", calibration),
        ("Predicted quality and true IoU", "distribution.png", distribution),
        ("Time and memory by frame", "course.png", course),
        *((sweep.title, f"{sweep.id}.png", partial(swept, sweep=sweep)) for sweep in table.spec.sweeps),
    ]
    files = {}
    with rc_context(LOOKS):
        for title, name, paint in painters:
            path = Path(out_dir) / name
            if figure := paint(table):
                files[title] = save(figure, path)
            else:
                path.unlink(missing_ok=True)
    return files


def save(figure: Figure, path: Path, **looks: Any) -> Path:
    """Write a figure as a PNG, whole or not at all; the same figure gives the same bytes."""
    with whole_file(path) as draft:
        figure.savefig(draft, format="png", bbox_inches="tight", metadata={"Software": None}, **looks)
    return path


def rows(table: Table) -> Figure | None:
    """Horizontal bars of the main metric; rings are the paper's numbers."""
    lines = [line for line in table.lines if line.interval]
    if not lines:
        return None
    figure = Figure(figsize=(7.5, 0.9 + 0.34 * len(lines)))
    axes = figure.subplots()
    colours, inks = {ROW: BLUE, VARIANT: LIGHT, FLOOR: GREY}, {ROW: "white", VARIANT: "#222", FLOOR: "white"}
    for y, line in enumerate(lines):
        axes.barh(
            y,
            line.interval.mean,
            0.68,
            color=colours[line.kind],
            xerr=_whiskers(line.interval),
            ecolor="#333",
            capsize=3,
        )
        axes.annotate(f"{line.interval.mean:.1f}", (0.6, y), va="center", color=inks[line.kind], fontsize=9)
    axes.set_yticks(range(len(lines)), [line.label for line in lines])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"{table.spec.main_metric}, percent{_where(table)}")
    metric = table.spec.main_metric
    if printed := [(line.printed[metric], y) for y, line in enumerate(lines) if metric in line.printed]:
        axes.plot(*zip(*printed, strict=True), "o", mfc="white", mec="#222", ms=6, zorder=3, label="paper")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1))  # above the bars, where it is no point of a row
    return figure


def differences(table: Table) -> Figure | None:
    """Points with intervals around zero; floors are left to the table."""
    known = [item for item in table.comparisons if item.interval and item.kind != FLOOR]
    if not known:
        return None
    figure = Figure(figsize=(7.5, 1.0 + 0.34 * len(known)))
    axes = figure.subplots()
    axes.axvline(0, color="#333", lw=1)
    for y, item in enumerate(known):
        colour = {GAINS: GREEN, LOSES: RED}.get(item.interval.verdict, GREY)
        axes.errorbar(item.interval.mean, y, xerr=_whiskers(item.interval), fmt="o", color=colour, capsize=3)
        text = f" {item.interval.verdict}"
        axes.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), va="center", color=colour, fontsize=9)
    axes.set_yticks(range(len(known)), [f"{item.label}  vs  {item.against}" for item in known])
    axes.set_ylim(len(known) - 0.5, -0.5)
    axes.set_xlabel(f"difference of {table.spec.main_metric}, points")
    return figure


def calibration(table: Table, least: int = 20) -> Figure | None:
    """True IoU by predicted score in steps of 0.05; bins with fewer than `least` pairs are left out."""
    if not table.bins:
        return None
    figure = Figure(figsize=(6.2, 5))
    curve, share = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    curve.plot([0, 1], [0, 1], color="#999", lw=1, ls="--", label="calibrated")
    middle = (EDGES[:-1] + EDGES[1:]) / 2
    for colour, row in zip(_colours(len(table.bins)), table.bins, strict=True):
        enough = row.count >= least
        curve.plot(middle[enough], row.true[enough], "o-", color=colour, ms=4, label=row.label)
        share.stairs(row.count / row.count.sum(), EDGES, color=colour, lw=1.5)
    curve.set(ylabel="true IoU (mean)", ylim=(0, 1.02))
    curve.legend(loc="upper left")
    share.set(xlabel="predicted quality", ylabel="share", xlim=(0, 1), ylim=(0, None))
    return figure


def distribution(table: Table) -> Figure | None:
    """Shares of frames by mean predicted score and by mean true IoU, a panel per row (QDMN Fig. 5)."""
    if not table.bins:
        return None
    figure = Figure(figsize=(6.2, 0.8 + 2.2 * len(table.bins)))
    panels = np.ravel(figure.subplots(len(table.bins), 1, sharex=True, squeeze=False))
    middle = (EDGES[:-1] + EDGES[1:]) / 2
    for axes, row in zip(panels, table.bins, strict=True):
        axes.bar(middle - 0.01, 100 * row.predicted_frames, 0.02, color=BLUE, label="predicted score")
        axes.bar(middle + 0.01, 100 * row.true_frames, 0.02, color=GREEN, label="true IoU")
        axes.set(ylabel="frames, percent", xlim=(0, 1))
        axes.set_title(row.label, fontsize=10, loc="left")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)  # beside the title, where it hides no bar
    panels[-1].set_xlabel("mean over the objects of a frame, in steps of 0.05")
    return figure


def course(table: Table, smooth: int = 51) -> Figure | None:
    """Frames in memory, frames per second (running median) and MiB by frame of the longest video, first seed."""
    ran = [line for line in table.lines if line.ran and line.kind in (ROW, VARIANT)] if table.spec.course else []
    found = {line.label: next(iter(table.results.of(line.row, line.variant).values())).course for line in ran}
    found = {label: values for label, values in found.items() if values}
    if not found:
        return None
    figure = Figure(figsize=(6.6, 6.4))
    panels = figure.subplots(3, 1, sharex=True)
    for colour, (label, values) in zip(_colours(len(found)), found.items(), strict=True):
        frames, window = np.arange(len(values["seconds"])), min(smooth, len(values["seconds"]) // 2 * 2 - 1)
        middle = np.median(np.lib.stride_tricks.sliding_window_view(values["seconds"], window), axis=1)
        panels[0].plot(frames, values["memory_frames"], color=colour, label=label)
        panels[1].plot(frames[window // 2 : len(frames) - window // 2], 1 / middle, color=colour)
        panels[2].plot(frames, values["memory_mib"], color=colour)
    for axes, name in zip(panels, ("frames in memory", "frames per second", "keys and values, MiB"), strict=True):
        axes.set(ylabel=name, ylim=(0, None))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="upper center", ncols=min(2, len(found)))
    panels[-1].set_xlabel("frame")
    return figure


def swept(table: Table, sweep: Sweep) -> Figure | None:
    """Main metric over the swept setting, one curve per variant; further measures below.

    Bars are the 95 % intervals of the differences to what the sweep is against, for those of the scores themselves are
    mostly the spread of the clips.
    """
    curves = {curve: [p for p in table.points(sweep.id, curve.id) if p.interval] for curve in sweep.curves}
    if not any(len(points) > 1 for points in curves.values()):
        return None
    shown = [name for name in sweep.also if any(name in p.measures for points in curves.values() for p in points)]
    figure = Figure(figsize=(6.2, 4 + 1.4 * len(shown)))
    score, *others = np.ravel(figure.subplots(1 + len(shown), 1, sharex=True, height_ratios=[3, *[1.2] * len(shown)]))
    ticks = range(len(sweep.values)) if None in sweep.values else sweep.values
    apart = (max(ticks) - min(ticks)) / 100  # so that the bars of one curve do not hide another's
    looks = zip(_colours(len(curves)), "os^Dv<>" * len(curves), strict=False)
    for i, ((colour, mark), (curve, points)) in enumerate(zip(looks, curves.items(), strict=False)):
        shift = (i - (len(curves) - 1) / 2) * apart
        places = [shift + ticks[sweep.values.index(p.value)] for p in points]
        score.plot(places, [p.interval.mean for p in points], f"{mark}-", color=colour, label=curve.label)
        spans = [(place, p) for place, p in zip(places, points, strict=True) if p.gain]
        for place, p in spans:
            score.errorbar(place, p.interval.mean, yerr=_whiskers(p.gain), color=colour, capsize=3, lw=1)
        for axes, name in zip(others, shown, strict=True):
            axes.plot(places, [p.measures.get(name, np.nan) for p in points], f"{mark}-", color=colour, ms=4)
    for axes, name in zip(others, shown, strict=True):  # now that all curves are there to fit in
        axes.set(ylabel=textwrap.fill(MEASURES[name][1], 12), ylim=(0, None))
    score.set(ylabel=f"{table.spec.main_metric}, percent")
    bars = f"; bars: difference to {reference_label(sweep)}" if sweep.against else ""
    above = 6 if len(curves) < 2 else 12 + 15 * -(-len(curves) // 3)  # the legend, in points
    score.set_title(f"{table.spec.row(sweep.row).label}{bars}", fontsize=10, pad=above)
    last = (others or [score])[-1]
    last.set_xlabel(sweep.axis)
    last.set_xticks(ticks, map(value_text, sweep.values))
    if len(curves) > 1:
        score.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return figure


def _whiskers(interval: Interval) -> np.ndarray:
    """Lengths (2, 1) to both sides of the mean; none where there is no interval."""
    return np.nan_to_num([[interval.mean - interval.low], [interval.high - interval.mean]]).clip(min=0)


def _where(table: Table) -> str:
    header = dict(table.header)
    return f" ({header['data']}, scale {header['scale']}; paper: {table.spec.paper_data})"


def _colours(count: int) -> list[str]:
    base = [RED, BLUE, GREEN, "#6b46c1", "#b7791f", GREY]
    return [base[i % len(base)] for i in range(count)]
