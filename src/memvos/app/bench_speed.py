"""`memvos bench speed`: what QAM and PEM cost in time. QDMN §5.3, speed analysis: from 8.6 to 7.8 FPS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from memvos.app import bench_common as bench
from memvos.app.arguments import split
from memvos.app.runs import instantiate
from memvos.report.sections import DASH, Section
from memvos.report.spec import Spec
from memvos.report.timing import Timing

FRAMES = 12
"""Frames per network and round; every one is memorised, every fifth for good."""
PAPER_SIZE = (480, 854)
"""Height and width of DAVIS' frames, pixels."""
MEASURE = "frames per second"


def measure(spec: Spec, overrides: Sequence[str], rounds: int, folder: Path) -> Timing:
    """Time a frame of every row's network, untrained; networks take turns clip by clip.

    `size=HEIGHTxWIDTH` among the overrides is that of the frames; without it they have the paper's at scale=paper, and
    elsewhere that of the embedded data.

    Raises:
        InputError: if it is anything else.
    """
    own, overrides = split(overrides, ("size",))
    settings = {row.id: bench.settings_of([*overrides, *row.overrides]) for row in spec.rows}
    size = bench.frame_size(own["size"]) if own else _default_size(settings[spec.base])
    lines = compare(spec, settings, rounds, size)
    cells = [
        [
            line["network"],
            *(f"{line[key]:.1f}" for key in ("ms_per_frame", "frames_per_second")),
            f"× {line['time_to_baseline']:.3f} [{line['least']:.3f}, {line['most']:.3f}]",
            f"× {line['paper_time_to_baseline']:.3f}" if line["paper_time_to_baseline"] else DASH,
        ]
        for line in lines
    ]
    shown = "×".join(map(str, size))
    note = f"Frames of {shown} pixels, one object. Medians of {rounds} rounds, in brackets the extremes. "
    note += f"Paper: {spec.source}, on {spec.paper_data}."
    columns = ["", "ms", "frames/s", "time to baseline", "paper"]
    section = Section(spec.title, note, columns, cells)
    header = (*bench.header(settings[spec.base]), ("frame size", shown))
    return Timing(spec, header, section, lines, figures={"time per frame": _draw(lines, folder)})


def _default_size(settings: dict[str, Any]) -> tuple[int, int]:
    if settings["scale"] == "paper":
        return PAPER_SIZE
    return tuple(settings["data"].get("frame_size", PAPER_SIZE))


def compare(
    spec: Spec, settings: dict[str, dict[str, Any]], rounds: int, size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Per row: milliseconds and frames per second (medians), time relative to the base, over `rounds` rounds.

    `size` is (H, W) of the frames in pixels.

    `least` and `most` are the extremes of the ratio over rounds; a round's ratio is of two times taken side by side.
    """
    import torch

    torch.set_num_threads(settings[spec.base]["threads"])
    works = {name: [_clip(config, size)] for name, config in settings.items()}
    seconds = {name: times for name, (times,) in bench.alternate_all(works, rounds).items()}
    base, printed = seconds[spec.base], spec.row(spec.base).printed
    lines = []
    for row in spec.rows:
        ratios = [time / other for time, other in zip(seconds[row.id], base, strict=True)]
        frame = median(seconds[row.id]) / FRAMES
        lines.append(
            {
                "network": row.label,
                "frame_size": f"{size[0]}x{size[1]}",
                "ms_per_frame": 1000 * frame,
                "frames_per_second": 1 / frame,
                "time_to_baseline": median(ratios),
                "least": min(ratios),
                "most": max(ratios),
                "paper_time_to_baseline": printed[MEASURE] / row.printed[MEASURE] if row.printed else None,
            }
        )
    return lines


def _draw(lines: Sequence[dict[str, Any]], folder: Path) -> Path:
    from matplotlib.figure import Figure

    from memvos.report.figures import save

    figure = Figure(figsize=(6.2, 2.8))
    axes = figure.subplots()
    for y, line in enumerate(lines):
        ratio = line["time_to_baseline"]
        axes.barh(y, ratio, 0.6, color="#2b6cb0", xerr=[[ratio - line["least"]], [line["most"] - ratio]], capsize=3)
        if line["paper_time_to_baseline"]:
            axes.plot(line["paper_time_to_baseline"], y, "o", mfc="white", mec="#222", label=None if y else "paper")
    axes.set_yticks(range(len(lines)), [line["network"] for line in lines])
    axes.invert_yaxis()
    axes.set_xlabel("time per frame, relative to the baseline")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    return save(figure, folder / "speed.png", dpi=150)


def _clip(config: dict[str, Any], size: tuple[int, int]) -> Callable[[], None]:
    """A clip of FRAMES random frames (H, W) with one object, through the stepper: each is memorised as the previous
    frame of the next, every fifth stays in the memory.
    """
    import numpy as np

    from memvos import Segmenter
    from memvos.decode.precision import choose_device
    from memvos.model.composition import without_sources

    device = choose_device("auto")
    segmenter = Segmenter(instantiate(without_sources(config["model"])), "every_5", device)
    frames = np.random.default_rng(0).integers(0, 255, (FRAMES, *size, 3), dtype=np.uint8)
    mask = bench.square(*size)

    def clip() -> None:
        segmenter.reset()
        for index, frame in enumerate(frames):
            segmenter.step(frame, None if index else mask)
        bench.wait_for(device)

    return clip
