"""Jobs as processes: a fork and a fresh interpreter behave alike."""

import os
import signal
import sys
import time

import pytest

from memvos.app import processes

STARTS = [processes.start_fresh, *([processes.start_fork] if sys.platform == "linux" else [])]


def ended(process, seconds: float = 60) -> int:
    deadline = time.monotonic() + seconds
    while (code := process.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return code


@pytest.mark.parametrize("start", STARTS)
def test_a_job_writes_its_log_and_returns_its_exit_code(start, tmp_path):
    assert ended(start(["--version"], tmp_path / "good" / "job.log")) == 0
    assert (tmp_path / "good" / "job.log").read_text().startswith("memvos ")
    assert ended(start(["nonsense"], tmp_path / "bad.log")) == 2
    assert "no command 'nonsense'" in (tmp_path / "bad.log").read_text()


def test_a_fork_that_breaks_leaves_its_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr("memvos.app.main.main", lambda arguments: 1 / 0)
    assert ended(processes.start_fork([], tmp_path / "job.log")) == 1
    assert "ZeroDivisionError" in (tmp_path / "job.log").read_text()


def test_jobs_get_one_thread_and_their_environment(tmp_path, monkeypatch):
    def show(arguments):
        print(os.environ["OMP_NUM_THREADS"], os.environ["MINE"], os.getsid(0) == os.getpid())
        return 0

    monkeypatch.setattr("memvos.app.main.main", show)
    assert ended(processes.start_fork([], tmp_path / "job.log", {"MINE": "yes"})) == 0
    assert (tmp_path / "job.log").read_text().split() == ["1", "yes", "True"]


def test_an_interrupt_reaches_a_job(tmp_path, monkeypatch):
    monkeypatch.setattr("memvos.app.main.main", lambda arguments: time.sleep(60))
    process = processes.start_fork([], tmp_path / "job.log")
    time.sleep(0.2)
    processes.interrupt(process)
    assert ended(process) == 1
    assert "KeyboardInterrupt" in (tmp_path / "job.log").read_text()
    processes.interrupt(process, signal.SIGKILL)  # nothing is left to be killed, which is no error


def test_devices_are_those_that_are_visible(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert processes.devices() == ["2", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert processes.devices() == []
