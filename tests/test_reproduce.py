"""`memvos reproduce`: a small table from nothing to its report; what is done is not done again; nothing is lost."""

import io
import json
import signal
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import pytest
import torch

from memvos.app.main import main
from memvos.app.progress import Display

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


SHORT = "steps={pretrain: 2, main: 2}"


def run(folder: Path, *arguments: str, table: str = "tiny.yaml") -> tuple[int, str, str]:
    """Run the table's command line in this process, as its jobs do in forks of it."""
    output, error = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(error):
        patch.chdir(folder)
        patch.setenv("MEMVOS_CACHE", str(folder / "cache"))
        code = main(["reproduce", table, *TINY, *arguments])
    return code, output.getvalue(), error.getvalue()


@pytest.fixture(scope="module")
def first(work) -> tuple[int, str, str]:
    """The first run of the table."""
    return run(work, SHORT)


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
    code, output, error = run(work, SHORT)
    assert code == 0
    assert "5 of 5 jobs are done already" in error
    assert "A tiny table" in output
    assert changes(work / "runs") == before


def test_only_what_a_change_touches_is_done_again(work, first):
    before = changes(work / "runs")
    (work / "runs/tiny/results/synthetic-smoke/plain/seed0/result.json").unlink()
    code, _, error = run(work, SHORT)
    assert code == 0
    assert "4 of 5 jobs are done already" in error
    after = changes(work / "runs")
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == [
        "tiny/results/synthetic-smoke/plain/seed0/result.json"
    ]


def test_a_faulty_result_is_bad_input(work, first):
    path = work / "runs/tiny/results/synthetic-smoke/copy_first/seed0/result.json"
    whole = path.read_text()
    content = json.loads(whole)
    content["scores"]["J&F"] += 0.1
    path.write_text(json.dumps(content))
    code, _, error = run(work, SHORT)
    path.write_text(whole)
    assert code == 2
    assert "copy_first/seed0: result.json says J&F = " in error.splitlines()[-1]
    assert error.endswith("delete the folder and run again\n")


def test_a_failed_job_is_told_the_others_go_on_and_an_old_result_is_not_taken_for_its(work, first):
    in_the_way = work / "runs/tiny/results/synthetic-smoke/plain/seed0/masks"
    in_the_way.touch()
    code, output, error = run(work, SHORT, "memory.every=2", "write_masks=true")
    assert code == 1
    assert "FAILED evaluate plain seed 0" in error
    assert "masks" in error.split("FAILED evaluate plain seed 0")[1]
    assert next(line for line in output.splitlines() if line.startswith("plain ")).count("not run") >= 1
    in_the_way.unlink()
    assert run(work, SHORT)[0] == 0  # all is well again


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("memory.every=-1", "expected every as a whole number from 1"),
        ("gate=perfect", "unknown gate 'perfect'"),
        ("precision=fp8", "fp8"),
        ("workers=0", "workers as a whole number from 1"),
        ("corruption_rate=2", "rate"),
        ("tta=3", "scales"),
    ],
)
def test_settings_of_evaluations_are_looked_at_before_anything_is_trained(work, first, setting, told):
    before = changes(work / "runs")
    code, _, error = run(work, SHORT, setting)
    assert (code, told in error) == (2, True), error
    assert changes(work / "runs") == before


def test_a_mistake_in_a_table_is_bad_input(work):
    (work / "wrong.yaml").write_text(SPEC.replace("base: plain", "base: nobody"))
    output, error = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(error):
        assert main(["reproduce", str(work / "wrong.yaml"), *TINY]) == 2
    assert "row 'nobody' does not exist; there are plain, copy_first" in error.getvalue()


def test_weights_that_are_not_there_are_told_before_any_training(work):
    code, _, error = run(work, SHORT, "model.backbone.weights=/no/such.npz", "output=early")
    assert code == 2
    assert "/no/such.npz" in error
    assert not (work / "early" / "stages").exists()


@pytest.mark.slow
def test_a_detector_that_is_not_there_is_told_before_any_training(work):
    own = ["model/proposals=detector", "model.proposals.checkpoint=/no/such.ckpt", "rows=f0", "output=detector"]
    code, _, error = run(work, SHORT, *own, table="dmn_aoa_table3")
    assert code == 2
    assert "/no/such.ckpt" in error
    assert not (work / "detector" / "stages").exists()


@pytest.mark.slow
def test_an_interrupted_table_goes_on_where_it_was(work, monkeypatch):
    long = ("steps={pretrain: 400, main: 2}", "rows=plain", "output=interrupted")
    reached = [0]
    for _ in range(2):
        monkeypatch.setattr(Display, "show", partial(_interrupt_after, reached[-1] + 2))
        code, _, error = run(work, *long)
        assert code == 130
        assert "Nothing done is lost; go on with: memvos reproduce tiny.yaml" in error
        last = next((work / "interrupted").rglob("last.ckpt"))
        reached.append(torch.load(last, weights_only=True)["global_step"])
    assert 0 < reached[1] < reached[2] < 400
    steps = [int(line.split(",")[0]) for line in (last.parents[1] / "metrics.csv").read_text().splitlines()[1:]]
    assert steps == sorted(set(steps))
    assert steps[0] < reached[1] < steps[-1]  # one log, from the beginning on


def _interrupt_after(step: int, running) -> None:
    done = [job.steps() for job, _ in running if job.steps()]
    if done and done[0].done > step:
        signal.raise_signal(signal.SIGINT)


def test_a_table_on_data_without_public_masks_is_written_without_scores(work, davis_root):
    for path in (davis_root / "Annotations/480p/dog").glob("*.png"):
        if path.stem != "00000":
            path.unlink()
    data = ("data=davis2017", f"data.root={davis_root}", "data.test.official=null", "output=unscored")
    floor = ("scale=smoke", "rows=copy_first")
    output, error = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(error):
        patch.chdir(work)
        code = main(["reproduce", "tiny.yaml", *floor, *data])
    assert code == 0, error.getvalue()
    assert "left out, for davis2017 has no true masks that an oracle could see: plain__oracle" in error.getvalue()
    assert "Nothing was scored: davis2017 has no public masks" in " ".join(output.getvalue().split())
