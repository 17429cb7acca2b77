"""Runs a graph of jobs, several at a time, one process each: skips what is done, survives failures and Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from memvos.app import processes
from memvos.app.job import STEPS_FILE, Job
from memvos.app.processes import Process
from memvos.app.progress import Display
from memvos.stop_signals import sigterm_interrupts

GRACE = 120.0
"""Seconds an interrupted job has to end its step, or its validation video, and to write its checkpoint."""


@dataclass
class Outcome:
    """What a run of the graph came to."""

    skipped: list[Job] = field(default_factory=list)
    finished: list[Job] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Name of the job and why."""


@dataclass
class _Running:
    job: Job
    process: Process
    slot: int
    since: float


class Runner:
    """Runs jobs in `parallel` slots; with several `devices` every slot sees one: a CUDA device, or "0,1"."""

    def __init__(
        self,
        jobs: Sequence[Job],
        parallel: int,
        display: Display,
        start: Callable[..., Process] = processes.start_fresh,
        devices: Sequence[str] = (),
        skip_done: bool = True,
    ) -> None:
        self.jobs, self.parallel, self.display, self.devices = list(jobs), parallel, display, list(devices)
        self._skip_done = skip_done
        self._start = start
        self._running: list[_Running] = []
        self._done: set[str] = set()
        self._waiting: list[Job] = []
        self.outcome = Outcome()

    @sigterm_interrupts()
    def run(self) -> Outcome:
        """Run everything that is not done yet.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM, when all jobs have stopped.
        """
        for job in self.jobs:
            if self._skip_done and job.is_done():
                self._done.add(job.name)
                self.outcome.skipped.append(job)
            else:
                self._waiting.append(job)
        self.display.begin(self.jobs, self._waiting)
        try:
            while self._waiting or self._running:
                self._fill_slots()
                self._collect()
                self.display.show([(entry.job, entry.since) for entry in self._running])
                time.sleep(0.1)
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            self.display.end()
        return self.outcome

    def _fill_slots(self) -> None:
        for job in [job for job in self._waiting if (set(job.needs) & set(self.outcome.failed))]:
            reason = next(name for name in job.needs if name in self.outcome.failed)
            self._waiting.remove(job)
            self._fail(job, f"not run, because {reason!r} failed")
        ready = [job for job in self._waiting if set(job.needs) <= self._done]
        for job in ready[: max(0, self.parallel - len(self._running))]:
            self._waiting.remove(job)
            slot = min(set(range(self.parallel)) - {entry.slot for entry in self._running})
            job.folder.mkdir(parents=True, exist_ok=True)
            for left in (job.log, job.steps_file):  # by a run that was interrupted
                left.unlink(missing_ok=True)
            process = self._start(job.arguments, job.log, self._environment(job, slot))
            self._running.append(_Running(job, process, slot, time.monotonic()))

    def _environment(self, job: Job, slot: int) -> dict[str, str]:
        environment = {STEPS_FILE: str(job.steps_file.resolve())}
        if len(self.devices) > 1:
            environment["CUDA_VISIBLE_DEVICES"] = self.devices[slot % len(self.devices)]
        return environment

    def _collect(self) -> None:
        for entry in list(self._running):
            code = entry.process.poll()
            if code is None:
                continue
            self._running.remove(entry)
            entry.job.steps_file.unlink(missing_ok=True)
            if code == 0 and entry.job.is_done():
                self._done.add(entry.job.name)
                self.outcome.finished.append(entry.job)
                self.display.finished(entry.job, time.monotonic() - entry.since)
            else:
                left = f"exit code {code}" if code else "it left no result"
                self._fail(entry.job, f"{left}; the end of {entry.job.log}:\n{entry.job.last_lines()}")

    def _fail(self, job: Job, reason: str) -> None:
        self.outcome.failed[job.name] = reason
        self.display.failed(job, reason)

    def _stop(self) -> None:
        """Ask every job to stop, wait for it; at the second Ctrl-C, or after `GRACE`, kill it."""
        self.display.note(f"stopping {len(self._running)} jobs; their state is saved (Ctrl-C again to kill them)")
        for entry in self._running:
            processes.interrupt(entry.process)
        deadline = time.monotonic() + GRACE
        try:
            while any(entry.process.poll() is None for entry in self._running) and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            for entry in self._running:
                if entry.process.poll() is None:
                    processes.interrupt(entry.process, signal.SIGKILL)
