"""`memvos reproduce`: a small table from nothing to its report; what is done is not done again; nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SPEC = """
schema: 1
name: tiny
title: "A tiny table"
source: "nowhere"
paper_data: "none"
metrics: ["J&F"]
main_metric: "J&F"
base: plain
seeds: {smoke: 1}
tolerance: {smoke: null}
stages:
  - {id: pretrain, overrides: [stage=pretrain]}
  - {id: main, overrides: [stage=main], from: pretrain}
rows:
  - {id: plain, label: "plain", stages: [pretrain, main], overrides: [model/quality=none, model/prior=none],
     evaluate: [memory=every_5], variants: [oracle], printed: {"J&F": 80.0}}
variants:
  - {id: oracle, label: "oracle gate", oracle: true, evaluate: [memory=qdmn, gate=oracle]}
floors:
  - {id: copy_first, label: "copy first", overrides: [model=copy_first], evaluate: [memory=first], seeds: 1}
"""
TINY = ("scale=smoke", "data.clips={train: 2, val: 1, test: 2}", "data.frames=6", "callbacks.validation=null")


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A working folder with a specification of its own."""
    folder = tmp_path_factory.mktemp("reproduce")
    (folder / "tiny.yaml").write_text(SPEC)
    return folder


def reproduce(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "memvos", "reproduce", "tiny.yaml", *TINY, *arguments],
        cwd=folder,
        env={**os.environ, "MEMVOS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = reproduce(folder, *arguments)
    output, error = process.communicate(timeout=300)
    return process.returncode, output, error


@pytest.fixture(scope="module")
def first(work) -> tuple[int, str, str]:
    """The first run of the table."""
    return run(work, "steps={pretrain: 2, main: 2}")


def changes(folder: Path) -> dict[str, int]:
    files = [*folder.rglob("final.ckpt"), *folder.rglob("result.json")]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def test_a_table_is_trained_scored_and_written(work, first):
    code, output, error = first
    assert code == 0, error
    folder = work / "runs" / "tiny"
    assert all((folder / f"table.{suffix}").stat().st_size for suffix in ("csv", "md", "html"))
    assert all(text in output for text in ("A tiny table", "plain", "oracle gate", "copy first", "80.0"))
    results = {path.parent.parent.name for path in (folder / "results" / "synthetic-smoke").rglob("result.json")}
    assert results == {"plain", "plain__oracle", "copy_first"}
    assert "[5/5]" in error


def test_results_carry_their_proof(work, first):
    result = json.loads((work / "runs/tiny/results/synthetic-smoke/plain/seed0/result.json").read_text())
    proof = result["provenance"]
    assert result["row"] == "plain"
    assert proof["weights"]["missing"] == 0
    assert len(proof["weights"]["sha256"]) == 64
    assert proof["config"]["memory"]["sigma"] is None


def test_a_second_call_does_nothing_again(work, first):
    before = changes(work / "runs")
    code, output, error = run(work, "steps={pretrain: 2, main: 2}")
    assert code == 0
    assert "5 of 5 jobs are done already" in error
    assert "A tiny table" in output
    assert changes(work / "runs") == before


def test_only_what_a_change_touches_is_done_again(work, first):
    before = changes(work / "runs")
    (work / "runs/tiny/results/synthetic-smoke/plain/seed0/result.json").unlink()
    code, _, error = run(work, "steps={pretrain: 2, main: 2}")
    assert code == 0
    assert "4 of 5 jobs are done already" in error
    after = changes(work / "runs")
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == [
        "tiny/results/synthetic-smoke/plain/seed0/result.json"
    ]


def test_a_failed_job_is_told_the_others_go_on_and_the_exit_code_is_1(work, first):
    code, output, error = run(work, "steps={pretrain: 2, main: 2}", "evaluate_only=1")
    assert code == 2  # an unknown key is found before anything runs
    code, output, error = run(work, "steps={pretrain: 2, main: 2}", "memory.every=-1", "output=failing")
    assert code == 1
    assert "FAILED evaluate plain seed 0" in error
    assert "A tiny table" in output
    assert "not run" in output
    assert len(list((work / "failing").rglob("final.ckpt"))) == 2


@pytest.mark.slow
def test_an_interrupted_table_goes_on_where_it_was(work):
    long = ("steps={pretrain: 400, main: 2}", "rows=plain", "output=interrupted")
    process = reproduce(work, *long)
    steps = _wait_for(lambda: next((work / "interrupted").rglob("steps.json"), None), process)
    _wait_for(lambda: json.loads(steps.read_text())[0] > 3, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Nothing done is lost; go on with: memvos reproduce tiny.yaml" in error
    last = next((work / "interrupted").rglob("last.ckpt"))
    stopped_at = _steps(last)
    assert 3 < stopped_at < 400
    again = reproduce(work, *long)
    _wait_for(lambda: steps.is_file() and json.loads(steps.read_text())[0] > stopped_at, again)
    lines = (last.parent.parent / "metrics.csv").read_text().splitlines()
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=120)
    assert _steps(last) > stopped_at
    assert len(lines) > 1


def _steps(checkpoint: Path) -> int:
    import torch

    return torch.load(checkpoint, weights_only=True)["global_step"]


def _wait_for(condition, process: subprocess.Popen, seconds: float = 120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        try:
            if found := condition():
                return found
        except (FileNotFoundError, json.JSONDecodeError):
            pass
        time.sleep(0.1)
    process.kill()
    raise AssertionError("it did not come so far")
