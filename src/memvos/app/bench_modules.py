"""`memvos bench modules`: seconds per frame of each module of DMN-AOA, beside those of its Table 4."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from memvos.app import bench_common as bench
from memvos.app.runs import instantiate
from memvos.errors import InputError
from memvos.report.entries import Row
from memvos.report.sections import DASH, Section
from memvos.report.spec import Spec
from memvos.report.timing import Timing

MODULES = {
    "BFE": "base features (BFE)",
    "OPG": "object proposals (OPG)",
    "OTG": "templates (OTG)",
    "AM": "aligned matcher (AM)",
    "MRN": "RefineNet (MRN)",
    "memory": "memory encoding",
}
LAYER = "layer"
"""The matching layer, a part of the aligned matcher."""
SIZE, OBJECTS, PROPOSALS, MEMORY = (480, 864), 2, 30, 9
Seconds = dict[str, list[float]]
"""Module → seconds by round."""


def measure(
    spec: Spec, overrides: Sequence[str], rounds: int, folder: Path | None = None, size: tuple[int, int] = SIZE
) -> Timing:
    """Time the modules of every row's network on a frame; networks take turns.

    480p, two objects, 30 given proposals, nine frames in memory (the mean of DAVIS val). On a CPU with one thread the
    process's own time counts, so that a busy machine does not matter much.

    Raises:
        InputError: if a row's network is not DMN-AOA.
    """
    settings = {row.id: bench.settings_of([*overrides, *row.overrides]) for row in spec.rows}
    seconds = compare(settings, rounds, size)
    lines = [line for row in spec.rows for line in _lines(row, seconds[row.id])]
    shown = f"{size[0]}×{size[1]} pixels, {OBJECTS} objects, {PROPOSALS} given proposals, {MEMORY} frames in memory"
    header = (*bench.header(settings[spec.rows[0].id]), ("frame", shown))
    findings = tuple((f"{row.label}:", _finding(row, seconds[row.id])) for row in spec.rows)
    return Timing(spec, header, _section(spec, rounds, seconds), lines, findings)


def configured(spec: Spec) -> Spec:
    """The table with one row: the network that the command line configures, beside the numbers of the base row."""
    return replace(spec, rows=(replace(spec.row(spec.base), label="as configured", overrides=()),))


def _total(seconds: Seconds) -> float:
    return sum(median(times) for module, times in seconds.items() if module != LAYER)


def _lines(row: Row, seconds: Seconds) -> list[dict[str, Any]]:
    """Lines of table.csv."""
    total = _total(seconds)
    return [
        {
            "row": row.id,
            "module": module,
            "seconds": median(times),
            "least": min(times),
            "most": max(times),
            "share": median(times) / total,
            "paper_seconds": row.printed.get(module),
        }
        for module, times in seconds.items()
    ]


def _section(spec: Spec, rounds: int, seconds: dict[str, Seconds]) -> Section:
    columns, cells = [""], [[name] for name in (*MODULES.values(), "  the matching layer in AM", "all")]
    for row in spec.rows:
        found, total = seconds[row.id], _total(seconds[row.id])
        columns += [row.label, "share"] + ["paper"] * bool(row.printed)
        for module, line in zip((*MODULES, LAYER), cells, strict=False):
            time = median(found[module]) if module in found else None
            line += [DASH, DASH] if time is None else [f"{time:.4f}", f"{time / total:.1%}"]
            if row.printed:
                line.append(f"{row.printed[module]:.{spec.printed_decimals}f}" if module in row.printed else "")
        cells[-1] += [f"{total:.4f}", ""] + [""] * bool(row.printed)
    note = f"Seconds per frame, medians of {rounds} rounds; on a CPU with one thread the process's own, "
    note += f"not the clock's. Paper: {spec.source}, on {spec.paper_data}."
    return Section(spec.title, note, columns, cells)


def _finding(row: Row, seconds: Seconds) -> str:
    """What the matching layer and the aligned matcher cost."""
    ratios = [one / other for one, other in zip(seconds["AM"], seconds["BFE"], strict=True)]
    text = f"the aligned matcher takes × {median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}] the time of the "
    text += "base features"
    if row.printed:
        text += f" (paper × {row.printed['AM'] / row.printed['BFE']:.2f})"
    if LAYER in seconds:
        text += f"; the matching layer {median(seconds[LAYER]) / _total(seconds):.2%} of a frame"
    return f"{text}."


def compare(settings: dict[str, dict[str, Any]], rounds: int, size: tuple[int, int] = SIZE) -> dict[str, Seconds]:
    """Network → module → seconds by round, after a round to warm up; networks take turns.

    Raises:
        InputError: if a network is not DMN-AOA.
    """
    import torch

    from memvos.decode.precision import autocast, choose_device, choose_precision

    threads = next(iter(settings.values()))["threads"]
    torch.set_num_threads(threads)
    device = choose_device("auto")
    clock = time.process_time if device.type == "cpu" and threads == 1 else time.perf_counter

    def now() -> float:
        bench.wait_for(device)
        return clock()

    seconds: dict[str, Seconds] = {name: {} for name in settings}
    with torch.inference_mode(), autocast(device, choose_precision("auto", device)):
        frames = {name: _frame(config, device, size, now) for name, config in settings.items()}
        for turn in range(rounds + 1):
            for name, frame in frames.items():
                for module, value in frame().items():
                    if turn:
                        seconds[name].setdefault(module, []).append(value)
    return seconds


def _frame(
    settings: dict[str, Any], device: Any, size: tuple[int, int], now: Callable[[], float]
) -> Callable[[], dict[str, float]]:
    """A function that segments and memorises a frame, and returns the seconds of each module."""
    import torch

    from memvos.model.composition import without_sources
    from memvos.model.dmn_aoa import DMNAOA
    from memvos.model.interface import Memory, Place

    model = instantiate(without_sources(settings["model"]))
    if not isinstance(model, DMNAOA):
        raise InputError(f"bench modules times DMN-AOA, got a {type(model).__name__}; give model=dmn_aoa or a preset")
    model = model.to(device, memory_format=torch.channels_last).eval()
    model.proposals = _given(size, device)
    masks = torch.zeros(1, OBJECTS, *size, device=device)
    for n in range(OBJECTS):
        masks[:, n, 100 * n + 20 : 100 * n + 100, 200 * n + 20 : 200 * n + 150] = 1
    images = torch.randn(2, 1, 3, *size, device=device)
    first, second = (image.contiguous(memory_format=torch.channels_last) for image in images)
    memory = Memory.stack([model.memorize(model.query(first, Place(0)), masks)] * MEMORY)
    grid = (size[0] // model.refine.mask_stride, size[1] // model.refine.mask_stride)
    layer: list[float] = []
    _listen(getattr(model.matcher, "solver", None), layer, now)

    def frame() -> dict[str, float]:
        marks = [now()]
        query = model.query(second, Place(MEMORY))
        query.features  # noqa: B018 (computed when first asked for)
        marks.append(now())
        targets = model.targets(query, memory, masks)
        marks.append(now())
        match = model.matcher(targets, query, model.regions, model.proposals, grid)
        marks.append(now())
        model.refine(query, match.coarse, memory)
        marks.append(now())
        model.memorize(query, masks)
        marks.append(now())
        taken = [end - start for start, end in pairwise(marks)]
        seen = dict(zip((module for module in MODULES if module != "OPG"), taken, strict=True))
        return seen | ({LAYER: layer[-1]} if layer else {})

    return frame


def _given(size: tuple[int, int], device: Any) -> Any:
    """A source that has its proposals already."""
    import torch

    from memvos.model.proposals import Proposals

    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(PROPOSALS, 2, generator=generator) * torch.tensor([size[1] * 0.7, size[0] * 0.7])
    sides = torch.rand(PROPOSALS, 2, generator=generator) * torch.tensor([size[1] * 0.25, size[0] * 0.25]) + 16
    masks = torch.rand(PROPOSALS, 28, 28, generator=generator)
    boxes = torch.cat([corner, corner + sides], dim=1)
    proposals = Proposals.of_image(boxes, masks, torch.ones(PROPOSALS)).to(device)
    return lambda image, place: proposals


def _listen(solver: Any, seconds: list[float], now: Callable[[], float]) -> None:
    """Time every call of the matching layer."""
    if solver is None:
        return
    started: list[float] = []
    solver.register_forward_pre_hook(lambda *_: started.append(now()))
    solver.register_forward_hook(lambda *_: seconds.append(now() - started.pop()))
