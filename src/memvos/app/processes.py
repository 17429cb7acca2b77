"""One process per job: a fresh `python -m memvos ...`, or, where that is safe, a fork that need not import torch again.

Every job leads its own session, so that Ctrl-C reaches this process alone, which then stops its jobs one by one and
gives them time to write their checkpoint. One torch thread each: two one-thread jobs beat one two-thread job.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Process(Protocol):
    """What the runner needs of a running job."""

    pid: int

    def poll(self) -> int | None:
        """Exit code (negative: the signal that ended it), None while it runs."""


def start_fresh(arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Start `python -m memvos ARGUMENTS` in its own session, output to `log`."""
    with _open(log) as output:
        return subprocess.Popen(
            [sys.executable, "-m", "memvos", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **THREADS, **(environment or {})},
            start_new_session=True,
            close_fds=False,  # a job holds the lock of its table
        )


class Fork:
    """A forked child of this process that runs one command line."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Exit code (negative: the signal that ended it), None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


def start_fork(arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Run `memvos ARGUMENTS` in a fork of this process; it must hold no threads and no device."""
    output = _open(log)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        output.close()
        return Fork(pid)
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for target in (1, 2):
            os.dup2(output.fileno(), target)
        sys.stdout, sys.stderr = (os.fdopen(target, "w", buffering=1, closefd=False) for target in (1, 2))
        os.environ.update({**THREADS, **(environment or {})})
        from memvos.app.main import main

        code = main(arguments)
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def starter():
    """The cheapest safe way to start jobs here: fork on Linux without a CUDA device, else a fresh process."""
    has_device = any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()
    return start_fork if sys.platform == "linux" and not has_device else start_fresh


def interrupt(process: Process, signal_number: int = signal.SIGINT) -> None:
    """Send a signal to a job and everything it started."""
    for send in (os.killpg, os.kill):  # a job just started may not lead its session yet
        try:
            return send(process.pid, signal_number)
        except ProcessLookupError:
            continue


def devices() -> list[str]:
    """Ids of the CUDA devices jobs are spread over: $CUDA_VISIBLE_DEVICES, or all there are."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [entry for entry in visible.split(",") if entry]
    return [str(index) for index, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]


def _open(log: Path):
    log.parent.mkdir(parents=True, exist_ok=True)
    return open(log, "ab", buffering=0)
