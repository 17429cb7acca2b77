"""train, evaluate and segment under Hydra, alone or as a sweep (-m): every job of a sweep is a process of its own.

Lightning starts further ranks with the arguments of the process it runs in. Inside a sweep those would start the sweep
again; so a sweep collects its jobs, and each runs as a fresh `python -m memvos COMMAND <overrides> output_dir=FOLDER`.
With another launcher or sweeper than Hydra's built-in ones (submitit, Optuna, ...) a job runs when it is asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from memvos.app import composition, finished, processes
from memvos.app.arguments import whole_number
from memvos.app.job import Job
from memvos.app.jobs import Runner
from memvos.app.progress import Display
from memvos.errors import InputError, RunFailed

BUILT_IN = (
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
)

SEARCHPATH, SWEEP_DIR, OUTPUT_DIR = "hydra.searchpath", "hydra.sweep.dir", "output_dir"
NAMED_BY = ("--out", OUTPUT_DIR, SWEEP_DIR)
"""What a command line names the folder of a sweep by, if it does."""

RESULT = {"train": finished.FINAL, "evaluate": finished.RESULT, "segment": finished.SEGMENTATION}
"""What a finished job of a command has left in its folder. Every job of a sweep is started: by the fingerprint of that
file it knows itself whether it has been done."""

OF_A_SWEEP = ("hydra.sweep", "hydra/sweep", "hydra.launcher", "hydra/launcher", "hydra.mode", "hydra.run", SEARCHPATH)
"""Beginnings of Hydra's own keys that its jobs do not get, or not as they are."""


def launch(command: str, arguments: list[str], task: Callable[[DictConfig], Any]) -> int:
    """Run a command line under Hydra; exit code 1 if a job of a sweep failed.

    Raises:
        InputError: if a sweep is told two folders.
    """
    jobs: list[Job] = []
    parallel, spread, folder = 1, True, ""

    def one(config: DictConfig) -> Any:
        nonlocal parallel, spread, folder
        hydra = HydraConfig.get()
        if hydra.mode != RunMode.MULTIRUN:
            if command == "segment":  # is told its folder, and says itself how it goes on
                return task(config)
            with told_how_to_go_on(config.output_dir, OUTPUT_DIR):
                return task(config)
        folder = hydra.sweep.dir
        job = _job(command, hydra)
        if (hydra.launcher["_target_"], hydra.sweeper["_target_"]) == BUILT_IN:
            jobs.append(job)
            parallel = whole_number("jobs", str(config.jobs))
            spread = OmegaConf.select(config, "trainer.devices", default=1) == 1
            return None
        with told_how_to_go_on(folder, *NAMED_BY):
            failed = _run([job], 1, [])
        if failed:
            raise RunFailed(f"{job.name} failed; its log is {job.log}")
        return objective(job.folder)

    one.__module__ = task.__module__
    composition.launch(command, in_sweep_dir(arguments), one)
    with told_how_to_go_on(folder, *NAMED_BY):
        return _run(short_named(jobs), parallel, processes.devices() if spread else []) if jobs else 0


def in_sweep_dir(arguments: Sequence[str]) -> list[str]:
    """A command line; that of a sweep with its output_dir=FOLDER as Hydra calls it, hydra.sweep.dir.

    Raises:
        InputError: if it has both.
    """
    options, overrides = composition.split_options(arguments)
    told = [one for one in overrides if composition.key_of(one) == OUTPUT_DIR]
    if not told or not set(composition.SWEEP) & set(options):
        return list(arguments)
    if any(composition.key_of(one) == SWEEP_DIR for one in overrides):
        raise InputError(f"{OUTPUT_DIR} and {SWEEP_DIR} are both the folder of a sweep; give one of them")
    return [f"{SWEEP_DIR}={one.partition('=')[2]}" if one in told else one for one in arguments]


@contextlib.contextmanager
def told_how_to_go_on(folder: str, *named_by: str) -> Iterator[None]:
    """Add to an interrupt the command line that goes on: by itself, a folder is new with every call."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        again = composition.with_folder(folder, *named_by)
        raise KeyboardInterrupt(f"{interrupt} Go on with: {again}".strip()) from None


def short_named(jobs: list[Job]) -> list[Job]:
    """The jobs named by their number and the overrides in which they differ."""
    common = set.intersection(*(set(job.arguments) for job in jobs)) if len(jobs) > 1 else set()
    told = [[part for part in job.arguments[1:-1] if part not in common] for job in jobs]
    return [
        replace(job, name=" ".join([f"#{i}", *parts])) for i, (job, parts) in enumerate(zip(jobs, told, strict=True))
    ]


def objective(folder: Path) -> float | None:
    """J&F of a finished run: of result.json, or of the last validation."""
    from memvos.app import provenance

    result = provenance.read(folder, "result.json")
    scores = result.get("scores") or provenance.read(folder).get("validation") or {}
    return scores.get("J&F")


def _job(command: str, hydra: DictConfig) -> Job:
    overrides = [one for one in hydra.overrides.task if composition.key_of(one) != OUTPUT_DIR]
    overrides += _of_hydra(hydra)
    folder = Path(hydra.runtime.output_dir)
    done = folder / RESULT[command]
    return Job(
        name=f"#{hydra.job.num} {' '.join(overrides)}",
        kind=command,
        arguments=(command, *overrides, f"{OUTPUT_DIR}={composition.quoted(folder)}"),
        folder=folder,
        is_done=done.is_file,
    )


def _of_hydra(hydra: DictConfig) -> list[str]:
    """Hydra's own overrides for a job, among them where the user's configurations are (`--config-dir` too)."""
    kept = [one for one in hydra.overrides.hydra if not composition.key_of(one).startswith(OF_A_SWEEP)]
    own = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    places = [*(f"file://{Path(path).resolve()}" for path in own), *hydra.searchpath]
    return [*kept, f"{SEARCHPATH}=[{','.join(map(composition.quoted, places))}]"] if places else kept


def _run(jobs: list[Job], parallel: int, devices: list[str]) -> int:
    outcome = Runner(jobs, parallel, Display(parallel), devices=devices, skip_done=False).run()
    for job in jobs:
        value = objective(job.folder)
        score = "failed" if job.name in outcome.failed else f"J&F {value:.3f}" if value is not None else "done"
        print(f"{score:10} {job.folder}  {job.name}")
    return 1 if outcome.failed else 0
