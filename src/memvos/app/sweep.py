"""train and evaluate under Hydra, alone or as a sweep (-m): every job of a sweep is a process of its own.

Lightning starts further ranks with the arguments of the process it runs in. Inside a sweep those would start the sweep
again; so a sweep collects its jobs, and each runs as a fresh `python -m memvos COMMAND <overrides> output_dir=FOLDER`.
With another launcher or sweeper than Hydra's built-in ones (submitit, Optuna, ...) a job runs when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from memvos.app import composition, processes
from memvos.app.arguments import whole_number
from memvos.app.job import Job
from memvos.app.jobs import Runner
from memvos.app.progress import Display
from memvos.errors import RunFailed

BUILT_IN = (
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
)

RESULT = {"train": "checkpoints/final.ckpt", "evaluate": "result.json", "segment": "quality.csv"}
"""What a finished job of a command has left in its folder."""


def launch(command: str, arguments: list[str], task: Callable[[DictConfig], Any]) -> int:
    """Run a command line under Hydra; exit code 1 if a job of a sweep failed."""
    jobs: list[Job] = []
    parallel, spread = 1, True

    def one(config: DictConfig) -> Any:
        nonlocal parallel, spread
        hydra = HydraConfig.get()
        if hydra.mode != RunMode.MULTIRUN:
            return task(config)
        job = _job(command, hydra)
        if (hydra.launcher["_target_"], hydra.sweeper["_target_"]) == BUILT_IN:
            jobs.append(job)
            parallel = whole_number("jobs", str(config.jobs))
            spread = OmegaConf.select(config, "trainer.devices", default=1) == 1
            return None
        if _run([job], 1, []):
            raise RunFailed(f"{job.name} failed; its log is {job.log}")
        return objective(job.folder)

    one.__module__ = task.__module__
    composition.launch(command, arguments, one)
    return _run(short_named(jobs), parallel, processes.devices() if spread else []) if jobs else 0


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
    overrides = [override for override in hydra.overrides.task if not override.startswith("output_dir=")]
    folder = Path(hydra.runtime.output_dir)
    done = folder / RESULT[command]
    return Job(
        name=f"#{hydra.job.num} {' '.join(overrides)}",
        kind=command,
        arguments=(command, *overrides, f"output_dir={composition.quoted(folder)}"),
        folder=folder,
        is_done=done.is_file,
    )


def _run(jobs: list[Job], parallel: int, devices: list[str]) -> int:
    outcome = Runner(jobs, parallel, Display(parallel), devices=devices, skip_done=False).run()
    for job in jobs:
        value = objective(job.folder)
        score = "failed" if job.name in outcome.failed else f"J&F {value:.3f}" if value is not None else "done"
        print(f"{score:10} {job.folder}  {job.name}")
    return 1 if outcome.failed else 0
