"""Pictures of a table: rows with intervals, differences, calibration of the quality scores, pollution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from memvos.report.compare import GAINS, LOSES, Interval
from memvos.report.content import FLOOR, ROW, VARIANT, Table

BLUE, GREEN, RED, GREY, LIGHT = "#2b6cb0", "#2f855a", "#c05621", "#8a8a84", "#a9c4e4"
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
    comparisons. calibration.png: true IoU by predicted score. pollution.png: score by rate of corrupted masks.
    """
    painters: list[tuple[str, str, Callable[[Table], Figure | None]]] = [
        ("Rows and floors with 95 % intervals", "table.png", rows),
        ("Differences with 95 % intervals", "differences.png", differences),
        ("Calibration of the predicted quality", "calibration.png", calibration),
        ("Corrupted masks in the memory bank", "pollution.png", pollution),
    ]
    files = {}
    with rc_context(LOOKS):
        for title, name, paint in painters:
            path = Path(out_dir) / name
            path.unlink(missing_ok=True)
            if figure := paint(table):
                figure.savefig(path, bbox_inches="tight", metadata={"Software": None})
                files[title] = path
    return files


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
        if table.spec.main_metric in line.printed:
            printed = line.printed[table.spec.main_metric]
            axes.plot(printed, y, "o", mfc="white", mec="#222", ms=6, zorder=3, label="paper" if y == 0 else None)
    axes.set_yticks(range(len(lines)), [line.label for line in lines])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"{table.spec.main_metric}, percent{_where(table)}")
    if any(line.printed for line in lines):
        axes.legend(loc="lower right")
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


def calibration(table: Table, bins: int = 20, least: int = 20) -> Figure | None:
    """True IoU by predicted score in steps of 0.05 (QDMN Fig. 5); bins with fewer than `least` pairs are left out."""
    scored = {}
    for line in table.lines:
        if line.kind == ROW and "bias" in line.quality:
            pairs = [result.quality_pairs for result in table.results.of(line.row).values()]
            scored[line.label] = np.concatenate([np.stack(pair) for pair in pairs], axis=1)
    scored = {label: pairs for label, pairs in scored.items() if pairs.shape[1]}
    if not scored:
        return None
    figure = Figure(figsize=(6.2, 5))
    curve, share = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    curve.plot([0, 1], [0, 1], color="#999", lw=1, ls="--", label="calibrated")
    middle = (np.arange(bins) + 0.5) / bins
    for colour, (label, (predicted, true)) in zip(_colours(len(scored)), scored.items(), strict=True):
        bin_of = np.clip((predicted * bins).astype(int), 0, bins - 1)
        count = np.bincount(bin_of, minlength=bins)
        mean = np.bincount(bin_of, true, bins) / np.maximum(count, 1)
        enough = count >= least
        curve.plot(middle[enough], mean[enough], "o-", color=colour, ms=4, label=label)
        share.stairs(count / count.sum(), np.linspace(0, 1, bins + 1), color=colour, lw=1.5)
    curve.set(ylabel="true IoU (mean)", ylim=(0, 1.02))
    curve.legend(loc="upper left")
    share.set(xlabel="predicted quality", ylabel="share", xlim=(0, 1), ylim=(0, None))
    return figure


def pollution(table: Table) -> Figure | None:
    """Main metric by rate of corrupted masks, one curve per gate, with 95 % bands."""
    known = [point for point in table.pollution if point.interval]
    if not any(point.rate for point in known):
        return None
    figure = Figure(figsize=(6.2, 4))
    axes = figure.subplots()
    gates = list(dict.fromkeys(point.gate for point in table.pollution))
    for colour, mark, gate in zip(_colours(len(gates)), "os^Dv<>" * len(gates), gates, strict=False):
        points = [point for point in known if point.gate == gate]
        if points:
            rates = [point.rate for point in points]
            axes.plot(rates, [p.interval.mean for p in points], f"{mark}-", color=colour, label=points[0].label)
            low, high = ([getattr(p.interval, edge) for p in points] for edge in ("low", "high"))
            axes.fill_between(rates, low, high, color=colour, alpha=0.12, lw=0)
    axes.set(xlabel="frames offered with corrupted masks, percent", ylabel=f"{table.spec.main_metric}, percent")
    axes.set_xticks(table.spec.pollution.rates)
    axes.set_title(table.spec.row(table.spec.pollution.row).label, fontsize=10)
    axes.legend()
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
