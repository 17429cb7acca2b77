"""`memvos bench`: seconds per training step and frames per second of this machine, for the networks of a scale."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from memvos.app import bench_modules, composition, provenance
from memvos.app.runs import instantiate
from memvos.errors import InputError

HELP = """usage: memvos bench [scale=SCALE] [rounds=5] [HYDRA OVERRIDES of memvos train ...]
       memvos bench speed --help          what QAM and PEM cost
       memvos bench stream --help         time and memory per frame in a long video
       memvos bench modules [rounds=5] [HYDRA OVERRIDES ...]
       memvos bench metrics [rounds=5]
       memvos bench loader [rounds=5] [videos=FOLDER] [resolution=480p] [stills=FOLDER]

Times training steps (batch, clip size and network of the scale, random clips) and inference (one object) in every
precision the machine has; precisions take turns, so that a busy machine slows all of them alike.

modules: seconds per frame of each module of DMN-AOA at 480p, e.g. memvos bench modules model=dmn_aoa_fast
metrics: J and F against the published toolkit's arithmetic (needs: pip install --no-deps vos-benchmark), in turns
loader: training clips against plain PIL and torchvision, in turns; of your own data (videos: JPEGImages/ and
  Annotations/, of one resolution; stills: images/ and masks/) in place of made-up pictures"""
PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed"}
FRAMES = 3
OTHERS = {"metrics": (), "loader": ("videos", "resolution", "stills")}
"""Benchmark → the settings it takes, beside rounds."""


def run(arguments: list[str]) -> int:
    """Run the command line."""
    if arguments[:1] in (["speed"], ["stream"]):
        from memvos.app import bench_speed, bench_stream

        return {"speed": bench_speed, "stream": bench_stream}[arguments[0]].run(arguments[1:])
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    rounds = whole_number("rounds", next((one[7:] for one in arguments if one.startswith("rounds=")), "5"))
    overrides = [one for one in arguments if not one.startswith("rounds=") and one != "modules"]
    if overrides and overrides[0] in OTHERS:
        print("\n".join(_other(*overrides, rounds=rounds)))
        return 0
    settings = composition.resolved(composition.compose("train", [*overrides, "output_dir=unused"]))
    lines = bench_modules.table(settings, rounds) if "modules" in arguments else table(settings, rounds)
    print("\n".join(lines))
    return 0


def _other(name: str, *arguments: str, rounds: int) -> Iterator[str]:
    """The lines of another benchmark.

    Raises:
        InputError: for a setting it does not take.
    """
    from memvos.app import bench_loader, bench_metrics

    pairs = [argument.partition("=") for argument in arguments]
    wrong = next((key for key, equals, value in pairs if key not in OTHERS[name] or not value), None)
    if wrong is not None:
        known = ", ".join(f"{key}=…" for key in ("rounds", *OTHERS[name]))
        raise InputError(f"memvos bench {name} got {wrong!r}; expected nothing but {known}; see memvos bench --help")
    module = {"metrics": bench_metrics, "loader": bench_loader}[name]
    return module.table(rounds, **{key: value for key, _, value in pairs})


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


def whole_number(name: str, text: str) -> int:
    """The number of NAME=N.

    Raises:
        InputError: if it is not a positive whole number.
    """
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"expected {name}=N with N of at least 1, got {name}={text}")
    return int(text)


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


def _training(settings: dict[str, Any], device: Any, precision: str) -> Callable[[], None]:
    """One optimiser step on random clips."""
    import torch

    from memvos.data.clip import ClipBatch
    from memvos.decode.precision import autocast
    from memvos.lit.unroll import unroll

    size, batch = settings["data"]["size"], settings["batch_size"]
    model = instantiate(settings["model"]).to(device, memory_format=torch.channels_last)
    optimizer = instantiate(settings["optimizer"])(model.parameters())
    loss = instantiate(settings["losses"])["segmentation"]
    frames = torch.randn(batch, FRAMES, 3, size, size, device=device)
    masks = torch.from_numpy(square(size)).to(device, torch.float32).expand(batch, FRAMES, 1, size, size)
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

    size = settings["data"]["size"]
    segmenter = Segmenter(instantiate(settings["model"]), "first_previous", device, precision)
    frame = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)
    segmenter.step(frame, square(size))

    def step() -> None:
        segmenter.step(frame)
        wait_for(device)

    return step


def square(size: int) -> Any:
    """Label map (size, size) uint8 of one object that fills a sixteenth of it."""
    import numpy as np

    labels = np.zeros((size, size), np.uint8)
    labels[size // 4 : size // 2, size // 4 : size // 2] = 1
    return labels


def wait_for(device: Any) -> None:
    """Wait until the device has done all its work."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()
