"""One run of a table: data looked over, jobs planned and run, the table written and printed."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from memvos.app import bench_tables, composition, processes, provenance
from memvos.app.faults import UnknownKey
from memvos.app.job import Job
from memvos.app.jobs import Outcome, Runner
from memvos.app.options import Options, load_table
from memvos.app.plan import EVALUATE, Plan, is_of_model
from memvos.app.progress import Display
from memvos.app.report_run import log_report
from memvos.app.runs import check_numbers, instantiate, raise_data_faults, writable_folder
from memvos.errors import InputError
from memvos.report import render, table
from memvos.report.spec import Spec
from memvos.stop_signals import sigterm_interrupts

COMMANDS = ("train", "evaluate")


@sigterm_interrupts()
def reproduce(options: Options) -> int:
    """Run a table; return 1 if a job failed or a result misses the tolerance, else 0.

    Raises:
        InputError: for bad options, configurations or data, before anything runs.
    """
    spec = load_table(options.name)
    if spec.bench is not None:
        given = {"train_data": options.train_data, "seeds": options.seeds, "jobs": options.jobs}
        if unused := [key for key, value in given.items() if value]:
            raise InputError(f"{spec.name} measures time and runs no jobs; leave {', '.join(unused)} out")
        return bench_tables.reproduce(spec, _rows(spec, options.rows), options.overrides, options.output)
    processes.warm_up()
    overrides, doubtful = split(options.overrides, options.train_data)
    base, scored = (
        composition.resolved(composition.compose(command, [*overrides[command], "output_dir=planned"]))
        for command in COMMANDS
    )
    check_numbers(base)
    scale, data, trained_on = base["scale"], scored["data"]["name"], base["data"]["name"]
    spec = spec.on(data).at(scale, base.get("networks", {}).get("size"))
    devices, room = slots(base["trainer"])
    parallel = options.jobs or room
    for command, config in zip(COMMANDS, (base, scored), strict=True):
        if "workers" in config["data"] and not any(one.startswith("data.workers=") for one in overrides[command]):
            overrides[command] = [*overrides[command], f"data.workers={parallel}"]
    rows = _rows(spec, options.rows)
    seeds = range(options.seeds or spec.seeds.get(scale, 1))
    output = writable_folder(options.output or Path("runs") / spec.name)
    trained = "" if trained_on == data else f"-trained_on_{trained_on}"
    results = output / "results" / f"{data}-{scale}{trained}"
    with only_one(output) as lock:
        _say(f"{spec.name}: {spec.title}. scale {scale}, data {data}, trained on {trained_on}, results in {results}")
        look = DataLook(base["check_data"])
        theirs = [one for one in options.overrides if composition.key_of(one) in doubtful]
        plan = Plan(spec, output, results, {one: [*overrides[one], *theirs] for one in COMMANDS}, look, look.unscored)
        plan.build(sorted({*seeds, *_seeds_in(results)}))
        for key in doubtful.keys() - plan.taken:
            raise doubtful[key]
        for row in dict.fromkeys(row for row in plan.repeats.values() if row in rows):
            _say(f"row {row} is not run: your own detector stands in for the one by which it differs")
        for folder in plan.take_back():
            _say(f"{folder} is of this configuration, code and data, and counted again")
        for mine, kept in plan.kept.items():
            if names := ", ".join(name for name, row in kept.items() if row in rows):
                _say(f"{mine} is not for {names}: they keep the settings that make them what they are")
        jobs = plan.wanted(rows, seeds)
        trainings = sum(job.kind != EVALUATE for job in jobs)
        if plan.left_out:
            names = ", ".join(dict.fromkeys(plan.left_out.values()))
            _say(f"left out, for {data} has no true masks that an oracle could see: {names}")
        _say(f"{trainings} trainings and {len(jobs) - trainings} evaluations, {parallel} at a time")
        _build_once([plan.models[job.name] for job in jobs if job.name in plan.models and not job.is_done()])
        outcome = _run(jobs, parallel, devices, lock)
        for folder in plan.set_aside_stale():
            _say(f"{folder} is of another configuration, code or data, or not whole, and not counted")
        code, written = _report(spec, results, output, outcome)
        if scored["logger"]:
            log_report(overrides["evaluate"], spec.name, results, written)
        return code


def slots(trainer: Mapping[str, Any]) -> tuple[list[str], int]:
    """The CUDA devices of each job at a time, and how many jobs that makes; without any, as many as have cores."""
    per_job = trainer["devices"]
    there = processes.devices() if per_job == 1 or trainer["accelerator"] != "cpu" else []
    groups = dealt_out(there, per_job)
    return groups, max(1, len(groups)) if there else cores(per_job)


def dealt_out(devices: Sequence[str], per_job: int | str) -> list[str]:
    """Devices in groups of `per_job`, joined by commas; those left over are in none, and all if a job takes all."""
    if not isinstance(per_job, int) or per_job < 1:
        return []
    ends = range(per_job, len(devices) + 1, per_job)
    return [",".join(devices[end - per_job : end]) for end in ends]


def cores(per_job: int | str = 1) -> int:
    """Jobs that fit on the CPU cores this process may use; one if a job takes all devices there are."""
    if not isinstance(per_job, int):
        return 1
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, count // max(1, per_job))


def split(
    overrides: Sequence[str], train_data: Sequence[str] = ()
) -> tuple[dict[str, list[str]], dict[str, UnknownKey]]:
    """Overrides by the commands they are for: every command whose configuration has the key.

    Args:
        overrides: of the whole table.
        train_data: overrides of the data that trainings have in place of the table's.

    Returns:
        The overrides of each command, and the keys of the network that neither command's own network has, with the
        fault that they are if no row's network has them.

    Raises:
        InputError: if neither has a key that is not of the network.
    """
    found: dict[str, list[str]] = {}
    unknown: dict[str, dict[str, UnknownKey]] = {command: {} for command in COMMANDS}
    for command in COMMANDS:
        found[command] = list(overrides)
        while fault := _unknown_in(command, found[command]):
            unknown[command][fault.key] = fault
            found[command] = [one for one in found[command] if composition.key_of(one) != fault.key]
    nowhere = {key: fault for key, fault in unknown[COMMANDS[-1]].items() if key in unknown[COMMANDS[0]]}
    for key, fault in nowhere.items():
        if not is_of_model(key):
            raise fault
    if train_data:
        others = (one for one in found["train"] if composition.key_of(one).split(".")[0] != "data")
        found["train"] = [*others, *train_data]
    return found, nowhere


def _unknown_in(command: str, overrides: Sequence[str]) -> UnknownKey | None:
    try:
        composition.compose(command, overrides)
    except UnknownKey as fault:
        if not any(composition.key_of(one) == fault.key for one in overrides):
            raise
        return fault
    return None


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[int]:
    """Hold the folder: two runs in one would write the same files.

    Yields:
        Descriptor of the lock. Jobs that are handed it hold the folder, too, even when this run is killed.

    Raises:
        InputError: if another run holds it.
    """
    import fcntl

    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder} is in use by another run, or by a job that a killed run left behind; "
                "wait for it, stop it, or give output=FOLDER"
            ) from error
        yield lock.fileno()


class DataLook:
    """Fingerprints of data configurations; each is built once, and looked over if `check`."""

    def __init__(self, check: bool = True) -> None:
        self._check = check
        self._built: dict[str, Any] = {}
        self._known: dict[str, str] = {}

    def __call__(self, config: dict[str, Any], **arguments: Any) -> str:
        """Fingerprint of a tree or a data module.

        Raises:
            InputError: if the data is missing or faulty.
        """
        key = provenance.digest(config)
        if key not in self._known:
            data = self._data(key, config, **arguments)
            if self._check:
                raise_data_faults(getattr(data, "trees", [data]))
            self._known[key] = data.fingerprint()
        return self._known[key]

    def unscored(self, config: dict[str, Any]) -> bool:
        """Has the tree no masks to score?"""
        return self._data(provenance.digest(config), config).first_masks_only()

    def _data(self, key: str, config: dict[str, Any], **arguments: Any) -> Any:
        if key not in self._built:
            self._built[key] = instantiate(config, **arguments)
        return self._built[key]


def _build_once(models: Sequence[dict[str, Any]]) -> None:
    """Build every distinct network, so that settings and weight files that do not fit are found before all training."""
    from memvos.model.proposal_sources import DetectorProposals

    for model in {provenance.digest(model): model for model in models}.values():
        source = getattr(instantiate(model), "proposals", None)
        if isinstance(source, DetectorProposals) and source.checkpoint is not None:  # one that no stage here trains
            source.load()


def _rows(spec: Spec, wanted: Sequence[str]) -> list[str]:
    known = [row.id for row in (*spec.rows, *spec.floors)]
    if unknown := [row for row in wanted if row not in known]:
        raise InputError(f"{spec.name} has no row {unknown[0]!r}; its rows are {', '.join(known)}")
    return list(wanted) or known


def _seeds_in(results: Path) -> set[int]:
    """Seeds that there are results of, from earlier calls."""
    names = (folder.name.removeprefix("seed") for folder in results.glob("*/seed*"))
    return {int(name) for name in names if name.isdecimal()}


def _run(jobs: list[Job], parallel: int, devices: Sequence[str], lock: int) -> Outcome:
    try:
        start = partial(processes.starter(), held=(lock,))
        return Runner(jobs, parallel, Display(parallel), start, devices).run()
    except KeyboardInterrupt:
        again = shlex.join(["memvos", *sys.argv[1:]])
        raise KeyboardInterrupt(f"Nothing done is lost; go on with: {again}") from None


def _report(spec: Spec, results: Path, output: Path, outcome: Outcome) -> tuple[int, list[Path]]:
    """Write and print the report; returns the exit code, and the files.

    Raises:
        InputError: if results are faulty, or do not belong together.
    """
    try:
        made = table.build(spec, results)
    except ValueError as error:
        raise InputError(str(error)) from error
    written = render.write(made, output)
    render.write(made, results)
    print(render.to_text(made))
    _say("written: " + ", ".join(str(path) for path in written if path.suffix in (".csv", ".md", ".html")))
    for name in outcome.failed:
        _say(f"FAILED {name}")
    for miss in made.misses:
        _say(f"outside the tolerance: {miss}")
    return (1 if outcome.failed or made.misses else 0), written


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
