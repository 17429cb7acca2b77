"""Sweeps: every job a process of its own; with two ranks each, two jobs are two runs and not more."""

import os
import re
import subprocess
import sys

import pytest

from memvos.app import provenance, sweep
from memvos.app.job import Job
from memvos.app.sweep import short_named
from memvos.errors import InputError


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


def test_the_folder_of_a_sweep_is_output_dir_too():
    line = ["-m", "seed=1,2", "++output_dir='my runs'", "scale=smoke"]
    assert sweep.in_sweep_dir(line) == ["-m", "seed=1,2", "hydra.sweep.dir='my runs'", "scale=smoke"]
    assert sweep.in_sweep_dir(line[1:]) == line[1:]
    with pytest.raises(InputError, match=r"output_dir and hydra\.sweep\.dir are both the folder of a sweep; give one"):
        sweep.in_sweep_dir([*line, "hydra.sweep.dir=there"])


def test_an_interrupted_sweep_with_an_output_dir_goes_on_in_it(memvos, tiny, monkeypatch):
    def interrupted(jobs, *_):
        folders.extend(job.folder for job in jobs)
        raise KeyboardInterrupt

    folders = []
    monkeypatch.setattr(sweep, "_run", interrupted)
    code, _, error = memvos("train", *tiny, "output_dir=mine", "seed=1,2", "-m")
    assert code == 130
    assert [folder.parent.name for folder in folders] == ["mine", "mine"]
    assert re.search(r" seed=1,2 -m output_dir=mine$", error.strip())


def test_jobs_find_the_users_own_configurations(memvos, tiny, home):
    (home / "mine" / "model").mkdir(parents=True)
    (home / "mine" / "model" / "own.yaml").write_text("defaults: [copy_first, _self_]\n")
    arguments = ["model=own", "memory=first", "seed=1", "hydra.sweep.dir=sweep"]
    code, _, error = memvos("evaluate", *tiny, *arguments, "--config-dir", "mine", "-m")
    assert code == 0, error
    assert (home / "sweep" / "0" / "result.json").is_file()


def test_an_interrupted_sweep_tells_the_command_that_goes_on(memvos, tiny, home, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "_run", interrupted)
    code, _, error = memvos("train", *tiny, "seed=1,2", "-m")
    assert code == 130
    assert re.search(r"Go on with: memvos train .* seed=1,2 -m hydra\.sweep\.dir=runs/sweep/[\d_-]+$", error.strip())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), r"hydra\.sweep\.dir=runs/sweep/[\d_-]+"),
        (("--out", "my out"), """'--out='"'"'my out'"'"''"""),
        (("--out=out",), "--out=out"),
        (("output_dir=out",), "output_dir=out"),
    ],
)
def test_an_interrupted_sweep_of_segment_tells_its_folder_as_it_was_named(memvos, home, monkeypatch, given, told):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "_run", interrupted)
    line = ("segment", "clip", *given, "--masks", "first.png", "-m", "memory.sigma=0,0.8")
    code, _, error = memvos(*line)
    assert code == 130
    again = rf"Go on with: memvos segment clip --masks first\.png -m memory\.sigma=0,0\.8 {told}$"
    assert re.search(again, error.strip()), error


def test_jobs_of_a_sweep_that_are_done_are_not_done_again(memvos, tiny, home):
    arguments = ["train", *tiny, "model/quality=none", "callbacks.validation=null", "seed=1", "hydra.sweep.dir=sweep"]
    memvos(*arguments, "-m")
    assert memvos(*arguments, "-m")[0] == 0
    assert "finished already" in (home / "sweep" / "0" / "job.log").read_text()


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
    command = ["train", "-m", *tiny, "model/quality=qam,none", "callbacks.validation=null"]
    ranks = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "hydra.sweep.dir=sweep"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "memvos", *command, *ranks], env=environment, capture_output=True, text=True, timeout=300
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
