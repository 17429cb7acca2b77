"""`memvos bench`: seconds per training step and frames per second of this machine, for the networks of a scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from memvos.app import provenance
from memvos.app.bench_common import alternate, square, wait_for
from memvos.app.runs import instantiate

PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed"}
FRAMES = 3


def table(settings: dict[str, Any], rounds: int) -> Iterator[str]:
    """The lines of the table."""
    import torch

    from memvos.decode.precision import choose_device

    torch.set_num_threads(settings["threads"])
    device = choose_device("auto")
    size, batch = settings["data"]["size"], settings["batch_size"]
    yield f"{provenance.device_name(str(device))}, {torch.get_num_threads()} thread, scale {settings['scale']}"
    yield f"{size}×{size} pixels, training on {batch} clips of {FRAMES} frames, inference on one object"
    yield f"{'precision':12}{'s/step':>10}{'frames/s':>10}"
    works = {
        precision: (_training(settings, device, precision), _inference(settings, device, precision))
        for precision in PRECISIONS
    }
    for precision, (step, frame) in alternate(works, rounds).items():
        yield f"{precision:12}{step:10.3f}{1 / frame:10.1f}"


def _training(settings: dict[str, Any], device: Any, precision: str) -> Callable[[], None]:
    """One optimiser step on random clips."""
    import torch

    from memvos.data.clip import ClipBatch
    from memvos.decode.precision import autocast
    from memvos.lit.unroll import unroll
    from memvos.model.composition import without_sources

    size, batch = settings["data"]["size"], settings["batch_size"]
    model = instantiate(without_sources(settings["model"])).to(device, memory_format=torch.channels_last)
    optimizer = instantiate(settings["optimizer"])(model.parameters())
    loss = instantiate(settings["losses"])["segmentation"]
    frames = torch.randn(batch, FRAMES, 3, size, size, device=device)
    masks = torch.from_numpy(square(size, size)).to(device, torch.float32).expand(batch, FRAMES, 1, size, size)
    clips = ClipBatch(frames, masks, torch.ones(batch, 1, dtype=torch.bool, device=device))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32

    def step() -> None:
        with autocast(device, dtype):
            seen = unroll(model, clips, score_last=True)
            total = sum(loss(frame.logits, clips.labels[:, frame.time], 0) for frame in seen)
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        wait_for(device)

    return step


def _inference(settings: dict[str, Any], device: Any, precision: str) -> Callable[[], None]:
    """One frame through the stepper, the annotated frame and the previous one in memory."""
    import numpy as np

    from memvos import Segmenter
    from memvos.model.composition import without_sources

    size = settings["data"]["size"]
    segmenter = Segmenter(instantiate(without_sources(settings["model"])), "first_previous", device, precision)
    frame = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)
    segmenter.step(frame, square(size, size))

    def step() -> None:
        segmenter.step(frame)
        wait_for(device)

    return step
