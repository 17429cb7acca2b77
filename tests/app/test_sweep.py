"""Sweeps: every job a process of its own; with two ranks each, two jobs are two runs and not more."""

import os
import subprocess
import sys

import pytest

from memvos.app import provenance
from memvos.app.job import Job
from memvos.app.sweep import short_named


def test_jobs_are_named_by_what_differs(tmp_path):
    lines = [("train", "scale=smoke", f"seed={seed}", f"output_dir={seed}") for seed in (1, 2)]
    jobs = [Job(str(number), "train", line, tmp_path, bool) for number, line in enumerate(lines)]
    assert [job.name for job in short_named(jobs)] == ["#0 seed=1", "#1 seed=2"]


def test_every_job_gives_a_result_and_a_failing_one_does_not_stop_the_others(memvos, tiny, home):
    arguments = ["model=copy_first", "memory=first", "split=nonsense,test", "untrained=true", "hydra.sweep.dir=sweep"]
    code, output, error = memvos("evaluate", *tiny, *arguments, "jobs=2", "-m")
    assert code == 1
    assert [line.split()[0] for line in output.splitlines()] == ["failed", "J&F"]
    assert (home / "sweep" / "1" / "result.json").is_file()
    assert "has no split 'nonsense'" in error


def test_no_job_at_a_time_is_refused(memvos, tiny):
    code, _, error = memvos("evaluate", *tiny, "model=copy_first", "memory=first", "jobs=0", "seed=1,2", "-m")
    assert code == 2
    assert "expected jobs=N with N of at least 1, got jobs=0" in error


NOTE_START = """import os, sys
with open({!r}, "a") as log:
    print(os.environ.get("LOCAL_RANK", "-"), *sys.orig_argv, file=log)
"""


@pytest.mark.slow
def test_two_jobs_of_two_ranks_are_exactly_two_runs(tiny, home):
    """Each rank that Lightning starts must find its own job, not start the sweep again."""
    log = home / "starts"
    (home / "sitecustomize.py").write_text(NOTE_START.format(str(log)))
    sweep = ["train", "-m", *tiny, "model/quality=qam,none", "callbacks.validation=null"]
    ranks = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "hydra.sweep.dir=sweep"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "memvos", *sweep, *ranks], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    folders = sorted(path.parent.name for path in (home / "sweep").glob("*/provenance.json"))
    assert folders == ["0", "1"]
    for number, head in (("0", "QualityHead"), ("1", "AcceptAll")):
        record = provenance.read(home / "sweep" / number)
        assert record["finished"]
        assert record["steps"] == 2
        assert record["config"]["model"]["quality"]["_target_"].endswith(head)
    starts = [line for line in log.read_text().splitlines() if "memvos" in line and " train " in line]
    assert sum("-m memvos train -m" in line for line in starts) == 1  # the sweep itself
    assert sum(line.startswith("- ") and "output_dir=" in line for line in starts) == 2  # its jobs, rank 0 of each
    assert sum(line.startswith("1 ") for line in starts) == 2  # rank 1 of each
    assert len(starts) == 5
