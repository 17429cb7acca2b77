"""`memvos bench modules`: seconds per frame of each module of DMN-AOA, beside those of its Table 4."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from memvos.app import provenance
from memvos.app.runs import instantiate
from memvos.errors import InputError

PRINTED = {
    "base features (BFE)": 0.009,
    "templates (OTG)": 0.015,
    "aligned matcher (AM)": 0.044,
    "RefineNet (MRN)": 0.066,
}
"""Seconds per frame on a V100, DAVIS 2017 val; proposals (.020) are given here."""
SIZE, OBJECTS, PROPOSALS, MEMORY = (480, 864), 2, 30, 9
LAYER = "  of which the matching layer"


def table(settings: dict[str, Any], rounds: int, size: tuple[int, int] = SIZE) -> Iterator[str]:
    """The lines of the table: 480p, two objects, 30 given proposals, nine frames in memory (the mean of DAVIS val).

    Raises:
        InputError: if the configured network is not DMN-AOA.
    """
    import torch

    from memvos.decode.precision import autocast, choose_device, choose_precision
    from memvos.model.dmn_aoa import DMNAOA

    torch.set_num_threads(settings["threads"])
    device = choose_device("auto")
    model = instantiate(settings["model"])
    if not isinstance(model, DMNAOA):
        raise InputError(f"bench modules times DMN-AOA, got a {type(model).__name__}; give model=dmn_aoa or a preset")
    model = model.to(device).eval()
    model.proposals = _given(size, device)
    with torch.inference_mode(), autocast(device, choose_precision("auto", device)):
        seconds = _measure(model, device, size, rounds)
    total = sum(value for name, value in seconds.items() if name != LAYER)
    yield f"{provenance.device_name(str(device))}, {torch.get_num_threads()} thread, median of {rounds} frames"
    yield f"{size[0]}×{size[1]} pixels, {OBJECTS} objects, {PROPOSALS} given proposals, {MEMORY} frames in memory"
    yield f"{'module':32}{'s/frame':>10}{'share':>8}{'paper':>8}"
    for name, value in seconds.items():
        printed = f"{PRINTED[name]:8.3f}" if name in PRINTED else ""
        yield f"{name:32}{value:10.4f}{value / total:8.1%}{printed}"
    yield f"{'all':32}{total:10.4f}"


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


def _measure(model: Any, device: Any, size: tuple[int, int], rounds: int) -> dict[str, float]:
    """Median seconds of each module on one frame, after a round to warm up."""
    import torch

    from memvos.model.interface import Memory, Place

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    masks = torch.zeros(1, OBJECTS, *size, device=device)
    for n in range(OBJECTS):
        masks[:, n, 100 * n + 20 : 100 * n + 100, 200 * n + 20 : 200 * n + 150] = 1
    images = torch.randn(2, 1, 3, *size, device=device)
    first = model.memorize(model.query(images[0], Place(0)), masks)
    memory = Memory.stack([first] * MEMORY)
    grid = (size[0] // model.refine.mask_stride, size[1] // model.refine.mask_stride)
    seen: dict[str, list[float]] = {}
    layer: list[float] = []
    hooks = _listen(getattr(model.matcher, "solver", None), layer, now)
    for turn in range(rounds + 1):
        marks = [now()]
        query = model.query(images[1], Place(MEMORY))
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
        if turn:
            names = (*PRINTED, "memory encoding")
            for name, start, end in zip(names, marks[:-1], marks[1:], strict=True):
                seen.setdefault(name, []).append(end - start)
            if layer:
                seen.setdefault(LAYER, []).append(layer[-1])
    for hook in hooks:
        hook.remove()
    return {name: median(values) for name, values in seen.items()}


def _listen(solver: Any, seconds: list[float], now: Any) -> list[Any]:
    """Time every call of the matching layer."""
    if solver is None:
        return []
    started: list[float] = []
    return [
        solver.register_forward_pre_hook(lambda *_: started.append(now())),
        solver.register_forward_hook(lambda *_: seconds.append(now() - started.pop())),
    ]
