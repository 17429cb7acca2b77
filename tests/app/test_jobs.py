"""The runner: order, skipping, failures, Ctrl-C. Jobs are small Python programs instead of trainings."""

import io
import itertools
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from memvos.app.job import Job
from memvos.app.jobs import Runner
from memvos.app.progress import Display


def start(arguments, log, environment):
    """Run `python -c arguments[0]` in place of memvos."""
    with open(log, "wb") as output:
        return subprocess.Popen(
            [sys.executable, "-c", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def job(folder: Path, name: str, code: str | None = None, needs: tuple[str, ...] = ()) -> Job:
    result = folder / name / "result"
    code = code or f"open({str(result)!r}, 'w').write('done')"
    return Job(name, "test", (code,), folder / name, result.is_file, needs)


def runner(jobs, parallel=2, **options) -> Runner:
    return Runner(jobs, parallel, Display(parallel, io.StringIO()), start, **options)


def names(jobs) -> list[str]:
    return [job.name for job in jobs]


def test_jobs_run_after_what_they_need(tmp_path):
    code = f"import os; assert os.path.exists({str(tmp_path / 'a' / 'result')!r}); open('{tmp_path}/b/result', 'w')"
    outcome = runner([job(tmp_path, "b", code, needs=("a",)), job(tmp_path, "a")]).run()
    assert names(outcome.finished) == ["a", "b"]
    assert not outcome.failed


def test_what_is_done_is_not_done_again(tmp_path):
    jobs = [job(tmp_path, "a"), job(tmp_path, "b", needs=("a",))]
    runner(jobs).run()
    outcome = runner(jobs).run()
    assert names(outcome.skipped) == ["a", "b"]
    assert not outcome.finished


def test_a_failure_is_told_with_the_end_of_its_log_and_the_others_go_on(tmp_path):
    jobs = [
        job(tmp_path, "bad", "print('line one'); raise SystemExit('out of memory')"),
        job(tmp_path, "after", needs=("bad",)),
        job(tmp_path, "other"),
    ]
    outcome = runner(jobs).run()
    assert names(outcome.finished) == ["other"]
    assert "exit code 1" in outcome.failed["bad"]
    assert "out of memory" in outcome.failed["bad"]
    assert outcome.failed["after"] == "not run, because 'bad' failed"


def test_a_job_that_leaves_no_result_has_failed(tmp_path):
    outcome = runner([job(tmp_path, "a", "pass")]).run()
    assert "it left no result" in outcome.failed["a"]


def test_steps_left_by_an_interrupted_run_are_forgotten(tmp_path):
    left = tmp_path / "a" / "steps.json"
    job_a = job(tmp_path, "a", f"import os; open('{tmp_path}/a/result', 'w').write(str(os.path.exists({str(left)!r})))")
    left.parent.mkdir()
    left.write_text("[0, 90, 100]")
    runner([job_a]).run()
    assert (tmp_path / "a" / "result").read_text() == "False"


def test_no_more_jobs_run_at_once_than_asked_for(tmp_path):
    code = "import time; print(time.time()); time.sleep(0.3); print(time.time()); open({!r}, 'w')"
    jobs = [job(tmp_path, name, code.format(str(tmp_path / name / "result"))) for name in "abc"]
    runner(jobs, parallel=1).run()
    spans = sorted(tuple(map(float, (tmp_path / name / "job.log").read_text().split())) for name in "abc")
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


@pytest.mark.parametrize("devices", [["0", "3"], ["0,1", "2,3"]])
def test_every_slot_sees_devices_of_its_own(tmp_path, devices):
    code = "import os, time; time.sleep(0.3); open({!r}, 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])"
    jobs = [job(tmp_path, name, code.format(str(tmp_path / name / "result"))) for name in "ab"]
    runner(jobs, devices=devices).run()
    assert {(tmp_path / name / "result").read_text() for name in "ab"} == set(devices)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_jobs_write_what_they_have(tmp_path, number):
    saved = tmp_path / "a" / "saved"
    code = (
        "import signal, sys, time\n"
        f"def stop(*_):\n    open({str(saved)!r}, 'w').write('checkpoint'); sys.exit(130)\n"
        "signal.signal(signal.SIGINT, stop); print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    stopping = runner([job(tmp_path, "a", code), job(tmp_path, "b", needs=("a",))])
    stopping.display.show = partial(_interrupt_when_ready, number, tmp_path / "a" / "job.log")
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        stopping.run()
    assert saved.read_text() == "checkpoint"
    assert time.monotonic() - began < 30
    assert not (tmp_path / "b").exists()


def _interrupt_when_ready(number: int, log: Path, running) -> None:
    if log.read_text():
        signal.raise_signal(number)
