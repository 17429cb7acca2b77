"""One command line of memvos with a folder of its own: what it needs, where it writes, how far it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from memvos.whole_file import write_text

STEPS_FILE = "MEMVOS_STEPS_FILE"
"""Environment variable by which a job is told where to write its `Steps`."""


class Steps(NamedTuple):
    """How far a running job is: steps, or videos, it found done when it started, done by now, in total."""

    before: int
    done: int
    total: int


def teller() -> Callable[[int, int, int], None] | None:
    """Writes this process's `Steps` for the display of a run of many jobs; None if it is no job of one."""
    file = os.environ.get(STEPS_FILE)
    return (lambda *steps: write_text(Path(file), json.dumps(Steps(*steps)))) if file else None


@dataclass(frozen=True)
class Job:
    """One command line of memvos with a folder of its own.

    Attributes:
        name: shown to the user, unique in a graph.
        kind: jobs of one kind take about equally long ("pretrain", "main", "evaluate").
        arguments: of the `memvos` command.
        folder: where it writes; its output goes to `job.log` there.
        is_done: has it been done before, with the same fingerprint?
        needs: names of the jobs that must be done first.
    """

    name: str
    kind: str
    arguments: tuple[str, ...]
    folder: Path
    is_done: Callable[[], bool] = field(repr=False)
    needs: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """The job's standard output and error."""
        return self.folder / "job.log"

    @property
    def steps_file(self) -> Path:
        """Where a running job writes its `Steps`."""
        return self.folder / "steps.json"

    def steps(self) -> Steps | None:
        """How far it is, None before the first report."""
        try:
            return Steps(*json.loads(self.steps_file.read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def last_lines(self, count: int = 12) -> str:
        """The end of the log."""
        text = self.log.read_text(errors="replace") if self.log.is_file() else "(no log)"
        lines = [line for line in text.replace("\r", "\n").splitlines() if line.strip()]
        return "\n".join(f"    {line}" for line in lines[-count:])
