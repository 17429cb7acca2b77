"""The live line of a run of many jobs: how many are done, what runs, how long it will take. Also without a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import TextIO

from memvos.app.job import Job

EVERY_SECONDS = {True: 1.0, False: 30.0}
"""How often the line is written: on a terminal, elsewhere."""


class Display:
    """Writes one line that is rewritten on a terminal, and a new line every 30 seconds elsewhere."""

    def __init__(self, parallel: int, stream: TextIO | None = None, clock=time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._clock = clock
        self._parallel = parallel
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._share: dict[str, float] = {}  # of its steps that a job had left when it started
        self._open: dict[str, Job] = {}
        self._total = self._failures = 0
        self._last = float("-inf")

    def begin(self, jobs: Sequence[Job], waiting: Sequence[Job]) -> None:
        """Start with the whole graph and the part of it that is to run."""
        self._total, self._open = len(jobs), {job.name: job for job in waiting}
        if done := len(jobs) - len(waiting):
            self.note(f"{done} of {len(jobs)} jobs are done already")

    def finished(self, job: Job, seconds: float) -> None:
        """A job came to its end."""
        del self._open[job.name]
        self._seconds[job.kind].append(seconds / self._share.get(job.name, 1.0))
        if not self._terminal:
            self.note(f"[{self._total - len(self._open)}/{self._total}] {job.name}: done in {duration(seconds)}")

    def failed(self, job: Job, reason: str) -> None:
        """A job failed, or cannot run."""
        del self._open[job.name]
        self._failures += 1
        self.note(f"FAILED {job.name}: {reason}")

    def show(self, running: Sequence[tuple[Job, float]]) -> None:
        """Write the live line if it is due; `running` holds jobs and their start on the clock."""
        now = self._clock()
        if now - self._last < EVERY_SECONDS[self._terminal] or (not running and not self._terminal):
            return
        self._last = now
        line = self.line(running)
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\033[K{line[:width]}")
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def line(self, running: Sequence[tuple[Job, float]]) -> str:
        """`[done/total] what runs (steps) · failures · time left`."""
        parts = [_with_steps(job) for job, _ in running]
        if self._failures:
            parts.append(f"{self._failures} failed")
        parts.append(self._left(running))
        return f"[{self._total - len(self._open)}/{self._total}] " + " · ".join(parts)

    def _left(self, running: Sequence[tuple[Job, float]]) -> str:
        seconds, unknown = self.seconds_left(running)
        if not seconds and unknown:
            return "time left: not known yet"
        return f"{'at least' if unknown else 'about'} {duration(seconds)} left"

    def seconds_left(self, running: Sequence[tuple[Job, float]]) -> tuple[float, int]:
        """Estimate from the jobs done and the steps of those that run; how many jobs are of a kind not known yet.

        Jobs of a kind differ. One that runs goes by its own steps once it has made a tenth of them: before, its start
        is too large a part of its time.
        """
        now = self._clock()
        known = {kind: list(values) for kind, values in self._seconds.items()}
        elapsed = {job.name: now - since for job, since in running}
        left = {}
        for job, _ in running:
            steps = job.steps()
            if steps and (made := steps.done - steps.before):
                self._share[job.name] = (steps.total - steps.before) / steps.total
                if job.kind not in known or made * 10 >= steps.total - steps.before:
                    each = elapsed[job.name] / made
                    left[job.name] = each * (steps.total - steps.done)
                    known.setdefault(job.kind, []).append(each * steps.total)
        for name, job in self._open.items():
            if name not in left and job.kind in known:
                whole = sum(known[job.kind]) / len(known[job.kind]) * self._share.get(name, 1.0)
                left[name] = max(0.0, whole - elapsed.get(name, 0.0))
        return max(sum(left.values()) / self._parallel, max(left.values(), default=0.0)), len(self._open) - len(left)

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self._stream.write(f"\r\033[K{text}\n" if self._terminal else f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Clear the live line."""
        if self._terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _with_steps(job: Job) -> str:
    steps = job.steps()
    return f"{job.name} {steps.done}/{steps.total}" if steps else job.name
