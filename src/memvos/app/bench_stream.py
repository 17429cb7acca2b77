"""`memvos bench stream`: does a long video cost more time or memory per frame than a short one? QDMN §3.5, §5.3."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from memvos.app import bench_common as bench
from memvos.app import composition
from memvos.app.arguments import split, whole_number
from memvos.app.runs import instantiate
from memvos.errors import InputError

DEFAULTS = {"frames": "10000", "size": "240x432", "rounds": "15"}
EARLY = 500
"""The frame that the end is compared with."""
BLOCK = 10
"""Frames of one segmenter until it is the other's turn: two intervals of the memory."""
PICTURES = 32
"""Different frames in the stream, which repeats them."""


def table(arguments: Sequence[str]) -> Iterator[str]:
    """The lines of the report.

    Raises:
        InputError: if a setting is not what it should be, or the stream is too short.
    """
    given, overrides = split(arguments, DEFAULTS)
    own = {**DEFAULTS, **given}
    frames, rounds = (whole_number(name, own[name]) for name in ("frames", "rounds"))
    if frames <= EARLY:
        raise InputError(f"expected more frames than the {EARLY} they are compared with, got frames={frames}")
    return _lines(overrides, frames, bench.frame_size(own["size"]), rounds)


def _lines(overrides: Sequence[str], frames: int, size: tuple[int, int], rounds: int) -> Iterator[str]:
    import torch

    from memvos.metrics.speed import resident_mib
    from memvos.model.composition import without_sources

    settings = composition.resolved(
        composition.compose("evaluate", ["++memory.sigma=null", *overrides, "output_dir=unused"])
    )
    torch.set_num_threads(settings["threads"])
    network, stream = instantiate(without_sources(settings["model"])), Stream(size)
    segmenter = _segmenter(network, settings)
    yield f"{frames} frames of {size[0]}×{size[1]}, scale {settings['scale']}, at most {segmenter.bank.beta} in memory"
    yield f"{'frame':>8}{'in memory':>12}{'process, MiB':>14}"
    places = sorted({EARLY, frames, *range(frames // 10, frames, max(1, frames // 10))})
    resident = {}
    with tempfile.TemporaryDirectory() as folder:
        early = Path(folder) / "early.pt"
        for place in places:
            stream.advance(segmenter, place)
            resident[place] = resident_mib()
            yield f"{place:8}{len(segmenter.bank.times):12}{resident[place]:14.1f}"
            if place == EARLY:
                segmenter.save(early)
        young = _segmenter(network, settings)
        young.load(early)
    yield f"process at frame {frames} relative to frame {EARLY}: {resident[frames] / resident[EARLY]:.3f}"
    works = {"early": [stream.block(young)], "late": [stream.block(segmenter)]}
    seconds = {name: times[0] for name, times in bench.alternate_all(works, rounds).items()}
    ratios = [late / before for late, before in zip(seconds["late"], seconds["early"], strict=True)]
    yield (
        f"time per frame after frame {frames} relative to after frame {EARLY}, over {rounds} rounds: "
        f"{median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}]; {1000 * median(seconds['late']) / BLOCK:.1f} ms"
    )


class Stream:
    """Random frames without an end, and one object."""

    def __init__(self, size: tuple[int, int]) -> None:
        import numpy as np

        self.frames = np.random.default_rng(0).integers(0, 255, (PICTURES, *size, 3), dtype=np.uint8)
        self.mask = bench.square(*size)

    def advance(self, segmenter: Any, until: int) -> None:
        """Step the segmenter until it has seen so many frames."""
        for time in range(segmenter.time, until):
            segmenter.step(self.frames[time % PICTURES], None if time else self.mask)

    def block(self, segmenter: Any) -> Callable[[], None]:
        """A work: the segmenter's next BLOCK frames."""

        def work() -> None:
            self.advance(segmenter, segmenter.time + BLOCK)
            bench.wait_for(segmenter.device)

        return work


def _segmenter(network: Any, settings: dict[str, Any]) -> Any:
    from memvos import Segmenter

    return Segmenter(network, settings["memory"], settings["device"], settings["precision"])
