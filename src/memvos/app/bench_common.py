"""What the benchmarks share: rounds, works that take turns, what they ran on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from memvos.app import composition, provenance
from memvos.app.arguments import split, whole_number
from memvos.errors import InputError

ROUNDS = "7"


def rounds_in(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """The number of rounds that the arguments ask for, and the other arguments.

    Raises:
        InputError: if it is not a positive whole number.
    """
    own, rest = split(arguments, ("rounds",))
    return whole_number("rounds", own.get("rounds", ROUNDS)), rest


def frame_size(text: str) -> tuple[int, int]:
    """Height and width in pixels of HEIGHTxWIDTH.

    Raises:
        InputError: if it is anything else.
    """
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise InputError(f"expected size=HEIGHTxWIDTH in pixels, e.g. size=240x432, got size={text}")
    return int(sides[0]), int(sides[1])


def settings_of(overrides: Sequence[str]) -> dict[str, Any]:
    """A configuration of `memvos train` in plain containers."""
    return composition.resolved(composition.compose("train", [*overrides, "output_dir=unused"]))


def header(settings: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """What a benchmark ran on."""
    from memvos.decode.precision import choose_device, choose_precision

    device = choose_device("auto")
    versions = provenance.package_versions()
    return (
        ("device", f"{provenance.device_name(str(device))}, {settings['threads']} thread"),
        ("precision", str(choose_precision("auto", device)).removeprefix("torch.")),
        ("torch", versions["torch"]),
        ("git commit", str(provenance.git_state())),
    )


def alternate(
    works: dict[str, Sequence[Callable[[], None]]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Median seconds of every work; see `alternate_all`."""
    return {name: [median(times) for times in group] for name, group in alternate_all(works, rounds, clock).items()}


def alternate_all(
    works: dict[str, Sequence[Callable[[], None]]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[list[float]]]:
    """Seconds of every work in every round, after one round to warm up; all works take turns in each round."""
    seconds: dict[str, list[list[float]]] = {name: [[] for _ in group] for name, group in works.items()}
    for turn in range(rounds + 1):
        for name, group in works.items():
            for index, work in enumerate(group):
                start = clock()
                work()
                if turn:
                    seconds[name][index].append(clock() - start)
    return seconds


def square(height: int, width: int) -> Any:
    """Label map (height, width) uint8 of one object that fills a sixteenth of it."""
    import numpy as np

    labels = np.zeros((height, width), np.uint8)
    labels[height // 4 : height // 2, width // 4 : width // 2] = 1
    return labels


def wait_for(device: Any) -> None:
    """Wait until the device has done all its work."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()
