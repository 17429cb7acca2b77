"""`memvos bench`: seconds per training step and frames per second of this machine, for the networks of a scale."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from memvos.app import composition, provenance
from memvos.app.runs import instantiate
from memvos.errors import InputError

HELP = """usage: memvos bench [scale=SCALE] [rounds=7] [HYDRA OVERRIDES of memvos train ...]
       memvos bench speed|modules|metrics|loader [rounds=7] [HYDRA OVERRIDES ...]

Times training steps (batch, clip size and network of the scale, random clips) and inference (one object) in every
precision the machine has; precisions take turns, so that a busy machine slows all of them alike.

speed: what QAM and PEM cost in time, the same as memvos reproduce qdmn_speed
modules: seconds per frame of each module of one DMN-AOA at 480p, e.g. memvos bench modules model=dmn_aoa_fast;
    the presets beside the paper's Table 4 are memvos reproduce dmn_aoa_table4
metrics: J and F against the published toolkit's arithmetic (needs: pip install --no-deps vos-benchmark), in turns
loader: training clips against plain PIL and torchvision, in turns"""
PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed"}
FRAMES = 3
ROUNDS = 7
OTHERS = ("metrics", "loader")


def run(arguments: list[str]) -> int:
    """Run the command line."""
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    if arguments[:1] == ["speed"]:
        from memvos.app import reproduce

        return reproduce.run(["qdmn_speed", *arguments[1:]])
    rounds, overrides = rounds_in(arguments, ROUNDS)
    if overrides[:1] == ["modules"]:
        print(_modules(overrides[1:], rounds))
    elif overrides and overrides[0] in OTHERS:
        print("\n".join(_other(overrides[0], rounds)))
    else:
        print("\n".join(table(settings_of(overrides), rounds)))
    return 0


def _modules(overrides: Sequence[str], rounds: int) -> str:
    """The modules of the network that the overrides configure, beside the paper's Table 4."""
    from memvos.app import bench_modules
    from memvos.app.reproduce import spec_path
    from memvos.report import timing
    from memvos.report.spec_file import load_spec

    spec = bench_modules.configured(load_spec(spec_path("dmn_aoa_table4")))
    return timing.to_text(bench_modules.measure(spec, overrides, rounds))


def _other(name: str, rounds: int) -> Iterator[str]:
    """The lines of another benchmark."""
    from memvos.app import bench_loader, bench_metrics

    return {"metrics": bench_metrics, "loader": bench_loader}[name].table(rounds)


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


def rounds_in(arguments: Sequence[str], otherwise: int) -> tuple[int, list[str]]:
    """The number of rounds that the arguments ask for, and the other arguments.

    Raises:
        InputError: if it is not a positive whole number.
    """
    rest = [argument for argument in arguments if not argument.startswith("rounds=")]
    for argument in arguments:
        text = argument.partition("=")[2]
        if argument.startswith("rounds=") and (not text.isdigit() or int(text) < 1):
            raise InputError(f"expected rounds=N with N of at least 1, got {argument}")
        otherwise = int(text) if argument.startswith("rounds=") else otherwise
    return otherwise, rest


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
    masks = torch.zeros(batch, FRAMES, 1, size, size, device=device)
    masks[..., size // 4 : size // 2, size // 4 : size // 2] = 1
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
    mask = np.zeros((size, size), np.uint8)
    mask[size // 4 : size // 2, size // 4 : size // 2] = 1
    segmenter.step(frame, mask)

    def step() -> None:
        segmenter.step(frame)
        wait_for(device)

    return step


def wait_for(device: Any) -> None:
    """Wait until the device has done all its work."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()
