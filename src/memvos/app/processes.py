"""One process per job: a fresh `python -m memvos ...`, or a fork that need not import torch again.

Every job leads its own session, so that Ctrl-C reaches this process alone, which then stops its jobs one by one and
gives them time to write their checkpoint. One torch thread each: two one-thread jobs beat one two-thread job.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from multiprocessing import forkserver, reduction
from pathlib import Path
from typing import Any, Protocol

from memvos.app.main import JOB

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


PRELOADED = (
    "torch",
    "pytorch_lightning",
    "memvos.app.evaluate",
    "memvos.app.train",
    "memvos.data.datamodules",
    "memvos.data.synthetic",
    "memvos.lit.evaluation",
    "memvos.lit.qdmn",
    "memvos.lit.training",
    "memvos.lit.validation",
    "memvos.model.checkpoints",
    "memvos.model.qdmn",
)
"""What the server of forks imports, so that its jobs need not."""


class Process(Protocol):
    """What the runner needs of a running job."""

    pid: int

    def poll(self) -> int | None:
        """Exit code (negative: the signal that ended it), None while it runs."""


def start_fresh(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, held: Sequence[int] = ()
) -> Process:
    """Start `python -m memvos ARGUMENTS` in its own session, output to `log`; it holds the open files `held`."""
    with _open(log) as output:
        return subprocess.Popen(
            [sys.executable, "-m", "memvos", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **THREADS, JOB: "1", **(environment or {})},
            start_new_session=True,
            pass_fds=held,
        )


class Fork:
    """A job in a fork of a server process that has imported the libraries and done nothing else.

    A fork of this process itself could hang: libraries that have started threads here do not find them in a child.
    """

    def __init__(self, process: multiprocessing.process.BaseProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        """Exit code (negative: the signal that ended it), None while it runs."""
        return self._process.exitcode


def warm_up() -> None:
    """Start the server of forks, where there is one; it imports while this process goes on."""
    if starter() is start_fork:
        os.environ.update(THREADS)  # before the server imports torch
        forkserver.set_forkserver_preload(list(PRELOADED))
        forkserver.ensure_running()


class _Held:
    """An open file that a fork of the server, which does not have it, is handed for its whole life."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[..., int], tuple[Any]]:
        return _taken, (reduction.DupFd(self._descriptor),)


def _taken(duplicate: Any) -> int:
    return duplicate.detach()


def start_fork(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, held: Sequence[int] = ()
) -> Process:
    """Run `memvos ARGUMENTS` in a fork of the server, in its own session, output to `log`; it holds `held`, too."""
    warm_up()
    told = {**os.environ, JOB: "1", **(environment or {})}
    process = multiprocessing.get_context("forkserver").Process(
        target=_job, args=(list(arguments), str(log), told, os.getcwd(), [*map(_Held, held)])
    )
    process.start()
    return Fork(process)


def _job(arguments: list[str], log: str, environment: dict[str, str], folder: str, held: list[int]) -> None:
    """The whole life of a fork; the files that it holds are open with it."""
    os.setsid()
    with _open(Path(log)) as output:
        for target in (1, 2):
            os.dup2(output.fileno(), target)
    sys.stdout, sys.stderr = (os.fdopen(target, "w", buffering=1, closefd=False) for target in (1, 2))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    threading.Thread(target=_stop_when_alone, daemon=True).start()
    from memvos.app.main import main

    sys.exit(main(arguments))


def _stop_when_alone() -> None:
    """End a job in order when the run it belongs to was killed."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGINT)


def starter() -> Callable[..., Process]:
    """The cheapest way to start jobs here: forks on Linux, else fresh processes."""
    return start_fork if sys.platform == "linux" else start_fresh


def interrupt(process: Process, signal_number: int = signal.SIGINT) -> None:
    """Send a signal to a job and everything it started."""
    for send in (os.killpg, os.kill):  # a job just started may not lead its session yet
        try:
            return send(process.pid, signal_number)
        except ProcessLookupError:
            continue


def devices() -> list[str]:
    """Ids of the CUDA devices jobs are spread over: $CUDA_VISIBLE_DEVICES up to a negative one, or all there are."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [*takewhile(lambda entry: not entry.startswith("-"), filter(None, visible.split(",")))]
    return [str(index) for index, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]


def _open(log: Path):
    log.parent.mkdir(parents=True, exist_ok=True)
    return open(log, "ab", buffering=0)
