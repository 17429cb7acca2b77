"""`memvos bench speed`: what QAM and PEM cost in time. QDMN §5.3, speed analysis: from 8.6 to 7.8 FPS."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from memvos.app import bench, composition
from memvos.app.runs import instantiate, writable_folder

HELP = """usage: memvos bench speed [scale=SCALE] [rounds=7] [output=runs/qdmn_speed] [HYDRA OVERRIDES ...]

Times a frame of the four networks of Table 5, untrained, all with the same frames in memory. The networks take turns
clip by clip, so that a busy machine slows all of them alike. Writes speed.csv and speed.png."""

NETWORKS = {
    "baseline": ("model/quality=none", "model/prior=none"),
    "QAM": ("model/prior=none",),
    "PEM": ("model/quality=none", "model/prior=weak"),
    "QAM + PEM": ("model/prior=weak",),
}
PAPER = {"baseline": 8.6, "QAM + PEM": 7.8}
"""Frames per second printed in QDMN §5.3 (DAVIS 2017 val, one GTX 1080 Ti)."""
FRAMES = 12
"""Frames per network and round; every fifth is memorised."""
COLUMNS = (
    "network",
    "ms_per_frame",
    "frames_per_second",
    "time_to_baseline",
    "least",
    "most",
    "paper_time_to_baseline",
)


def run(arguments: Sequence[str]) -> int:
    """Run the command line."""
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    own = dict(argument.split("=", 1) for argument in arguments if argument.startswith(("rounds=", "output=")))
    overrides = [argument for argument in arguments if argument.split("=")[0] not in own]
    folder = writable_folder(own.get("output", "runs/qdmn_speed"))
    rows = compare(overrides, bench.whole_number("rounds", own.get("rounds", "7")))
    write(rows, folder)
    for row in rows:
        print(
            f"{row['network']:12}{row['ms_per_frame']:9.1f} ms{row['frames_per_second']:8.1f} frames/s   "
            f"× {row['time_to_baseline']:.3f} [{row['least']:.3f}, {row['most']:.3f}]"
        )
    print(f"written: {folder / 'speed.csv'}, {folder / 'speed.png'}")
    return 0


def compare(overrides: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    """Per network: milliseconds and frames per second (medians), time relative to the baseline, over `rounds` rounds.

    `least` and `most` are the extremes of the ratio over rounds; a round's ratio is of two times taken side by side.
    """
    import torch

    settings = {
        name: composition.resolved(composition.compose("train", [*overrides, *parts, "output_dir=unused"]))
        for name, parts in NETWORKS.items()
    }
    torch.set_num_threads(settings["baseline"]["threads"])
    works = {name: [_clip(config)] for name, config in settings.items()}
    seconds = {name: times for name, (times,) in bench.alternate_all(works, rounds).items()}
    base = seconds["baseline"]
    rows = []
    for name, times in seconds.items():
        ratios = [time / other for time, other in zip(times, base, strict=True)]
        printed = PAPER["baseline"] / PAPER[name] if name in PAPER else None
        frame = median(times) / FRAMES
        numbers = (1000 * frame, 1 / frame, median(ratios), min(ratios), max(ratios), printed)
        rows.append(dict(zip(COLUMNS, (name, *numbers), strict=True)))
    return rows


def write(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write speed.csv and speed.png."""
    from matplotlib.figure import Figure

    with (folder / "speed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    figure = Figure(figsize=(6.2, 2.8))
    axes = figure.subplots()
    for y, row in enumerate(rows):
        ratio = row["time_to_baseline"]
        axes.barh(y, ratio, 0.6, color="#2b6cb0", xerr=[[ratio - row["least"]], [row["most"] - ratio]], capsize=3)
        if row["paper_time_to_baseline"]:
            axes.plot(row["paper_time_to_baseline"], y, "o", mfc="white", mec="#222", label=None if y else "paper")
    axes.set_yticks(range(len(rows)), [row["network"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("time per frame, relative to the baseline")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    figure.savefig(folder / "speed.png", bbox_inches="tight", dpi=150, metadata={"Software": None})


def _clip(config: dict[str, Any]) -> Callable[[], None]:
    """A clip of FRAMES random frames with one object, through the stepper, every fifth frame memorised."""
    import numpy as np

    from memvos import Segmenter
    from memvos.decode.precision import choose_device

    size = config["data"]["size"]
    device = choose_device("auto")
    segmenter = Segmenter(instantiate(config["model"]), "every_5", device)
    frames = np.random.default_rng(0).integers(0, 255, (FRAMES, size, size, 3), dtype=np.uint8)
    mask = bench.square(size)

    def clip() -> None:
        segmenter.reset()
        for index, frame in enumerate(frames):
            segmenter.step(frame, None if index else mask)
        bench.wait_for(device)

    return clip
