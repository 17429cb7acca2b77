"""Jobs as processes: a fork and a fresh interpreter behave alike."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memvos.app import processes
from memvos.app.table_run import only_one
from memvos.errors import InputError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="jobs are forks on Linux only")
STARTS = [processes.start_fresh, pytest.param(processes.start_fork, marks=on_linux)]


def ended(process, seconds: float = 120) -> int:
    deadline = time.monotonic() + seconds
    while (code := process.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return code


def appears(path: Path, seconds: float = 120) -> Path:
    deadline = time.monotonic() + seconds
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A subcommand of our own in place of `memvos bench`, for processes that find it on their path."""

    def write(body: str) -> list[str]:
        (tmp_path / "sitecustomize.py").write_text(
            "import sys, types\nmodule = types.ModuleType('memvos.app.bench')\n"
            f"exec({body!r}, module.__dict__)\nsys.modules['memvos.app.bench'] = module\n"
        )
        return ["bench"]

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return write


@pytest.mark.parametrize("start", STARTS)
def test_a_job_writes_its_log_and_returns_its_exit_code(start, tmp_path):
    assert ended(start(["--version"], tmp_path / "good" / "job.log")) == 0
    assert (tmp_path / "good" / "job.log").read_text().startswith("memvos ")
    assert ended(start(["nonsense"], tmp_path / "bad.log")) == 2
    assert "no command 'nonsense'" in (tmp_path / "bad.log").read_text()


@pytest.mark.parametrize("start", STARTS)
def test_jobs_work_in_this_folder_with_the_environment_they_are_given(start, home):
    line = ["data", "synthetic", "clips.train=1", "clips.val=1", "clips.test=1", "frames=3", "frame_size=[48,48]"]
    assert ended(start(line, Path("logs/job.log"), {"MEMVOS_CACHE": str(home / "mine")})) == 0
    assert f"1 clips in {home / 'mine'}" in (home / "logs" / "job.log").read_text()


def test_a_job_that_breaks_leaves_its_traceback(program, tmp_path):
    assert ended(processes.start_fresh(program("def run(arguments): 1 / 0"), tmp_path / "job.log")) == 1
    assert "ZeroDivisionError" in (tmp_path / "job.log").read_text()


def test_jobs_lead_a_session_and_have_one_thread(program, tmp_path):
    body = "import os\ndef run(arguments): print(os.environ['OMP_NUM_THREADS'], os.getsid(0) == os.getpid())"
    assert ended(processes.start_fresh(program(body), tmp_path / "job.log")) == 0
    assert (tmp_path / "job.log").read_text().split() == ["1", "True"]


def test_an_interrupt_reaches_a_job(program, tmp_path):
    body = "import time\ndef run(arguments):\n    print('started', flush=True)\n    time.sleep(60)"
    process = processes.start_fresh(program(body), tmp_path / "job.log")
    appears(tmp_path / "job.log")
    processes.interrupt(process)
    assert ended(process) == 130
    assert "interrupted" in (tmp_path / "job.log").read_text()
    processes.interrupt(process, signal.SIGKILL)  # nothing is left to be killed, which is no error


@pytest.mark.slow
@pytest.mark.parametrize("start", ["start_fresh", pytest.param("start_fork", marks=on_linux)])
def test_an_interrupt_reaches_the_job_of_a_run_that_ignores_it(home, start):
    """As a run in the background of a shell does, which is stopped by SIGTERM."""
    script = (
        "import signal, time, pathlib\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from memvos.app import processes\n"
        "line = ['data', 'synthetic', 'clips.train=5000', 'difficulty=hard', 'frame_size=[240,320]']\n"
        f"process = processes.{start}(line, pathlib.Path('job.log'), {{'MEMVOS_CACHE': 'mine'}})\n"
        "log = pathlib.Path('job.log')\nwhile not (log.is_file() and log.read_text()): time.sleep(0.1)\n"
        "processes.interrupt(process)\n"
        "while process.poll() is None: time.sleep(0.1)\nprint(process.poll())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == ["130"], run.stderr


@on_linux
def test_a_fork_does_not_inherit_the_threads_of_libraries(tmp_path):
    import cv2
    import numpy as np

    image = np.zeros((2000, 2000, 3), np.uint8)
    cv2.cvtColor(image, cv2.COLOR_BGR2HSV)  # starts OpenCV's threads here; stopping them in a fork of us would hang
    line = ["data", "synthetic", "clips.train=1", "clips.val=1", "clips.test=1", "frames=3", "frame_size=[48,48]"]
    assert ended(processes.start_fork(line, tmp_path / "job.log", {"MEMVOS_CACHE": str(tmp_path)}), seconds=60) == 0


def test_devices_are_those_that_are_visible(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert processes.devices() == ["2", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert processes.devices() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,-1,4")
    assert processes.devices() == ["3"]


@on_linux
def test_a_job_ends_when_its_run_was_killed(home):
    """Its handler of Ctrl-C then writes a checkpoint, as after any other interrupt."""
    script = (
        "import time, pathlib\nfrom memvos.app import processes\n"
        "line = ['data', 'synthetic', 'clips.train=5000', 'difficulty=hard', 'frame_size=[240,320]']\n"
        "process = processes.start_fork(line, pathlib.Path('job.log'), {'MEMVOS_CACHE': 'mine'})\n"
        "print(process.pid, flush=True)\ntime.sleep(300)"
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    job = int(run.stdout.readline())
    appears(home / "job.log")
    run.kill()
    run.communicate()
    deadline = time.monotonic() + 60
    while "interrupted" not in (home / "job.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):  # noqa: PT012 - it needs a moment to go
        while True:
            os.kill(job, 0)
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("start", STARTS)
def test_a_job_that_outlives_its_run_holds_the_folder(start, program, tmp_path):
    line = program("import time, pathlib\ndef run(arguments):\n print('runs', flush=True)\n time.sleep(300)")
    with only_one(tmp_path) as lock:
        process = start(line, tmp_path / "job.log", held=[lock])
    appears(tmp_path / "job.log")
    with pytest.raises(InputError, match="or by a job that a killed run left behind"), only_one(tmp_path):
        pass
    processes.interrupt(process)
    assert ended(process)
    with only_one(tmp_path):
        pass
