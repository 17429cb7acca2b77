"""From a specification to jobs: order, shared stages, what is done, floors once."""

from functools import partial

import pytest

from memvos.app import provenance
from memvos.app.plan import FINAL, Plan, is_evaluated, is_trained
from memvos.report.spec import Row, Spec, Stage, Variant

STAGES = (Stage("pretrain", ("stage=pretrain",)), Stage("main", ("stage=main",), start="pretrain"))
BOTH = ("pretrain", "main")
ROWS = (
    Row("plain", "plain", ("model/quality=none", "model/prior=none"), ("memory=every_5",), BOTH, ("oracle",)),
    Row("gated", "gated", ("model/quality=none", "model/prior=none"), ("memory=qdmn",), BOTH),
    Row("other", "other", ("model/prior=weak",), (), BOTH),
)
FLOORS = (Row("copy_first", "copy", ("model=copy_first",), ("memory=first",), seeds=1),)


def spec(rows=ROWS) -> Spec:
    variants = (Variant("oracle", "oracle gate", ("gate=oracle",), oracle=True),)
    return Spec("small", "Small", "here", "none", ("J&F",), "J&F", "plain", rows, FLOORS, STAGES, variants)


@pytest.fixture
def plan(tmp_path):
    """Make plans in a folder; data has a made-up fingerprint."""

    def make(name="small", data="d", **overrides) -> Plan:
        both = ["scale=smoke"]
        given = {"train": [*both, *overrides.get("train", [])], "evaluate": [*both, *overrides.get("evaluate", [])]}
        folder = tmp_path / name
        return Plan(spec(), folder, folder / "results", given, lambda config, **arguments: data)

    return make


def kinds(jobs) -> list[tuple[str, str]]:
    return [(job.name, job.kind) for job in jobs]


def test_rows_with_equal_trainings_share_their_stages(plan):
    jobs = {job.name: job for job in plan().build(["plain", "gated"], [0])}
    assert [name for name, job in jobs.items() if job.kind != "evaluate"] == [
        "plain pretrain seed 0",
        "plain main seed 0",
    ]
    assert jobs["evaluate gated seed 0"].needs == ("plain main seed 0",)


def test_a_stage_starts_from_the_one_before(plan):
    jobs = {job.name: job for job in plan().build(["plain"], [0])}
    main, pretrain = jobs["plain main seed 0"], jobs["plain pretrain seed 0"]
    assert main.needs == (pretrain.name,)
    assert f"weights='{pretrain.folder / FINAL}'" in main.arguments


def test_every_seed_is_trained_and_floors_are_scored_once(plan):
    names = [job.name for job in plan().build(["other", "copy_first"], [0, 1])]
    assert "other main seed 0" in names
    assert "other main seed 1" in names
    assert [name for name in names if "copy_first" in name] == ["evaluate copy_first seed 0"]


def test_evaluations_lie_where_the_report_looks_for_them(plan):
    folders = {job.folder.relative_to(job.folder.parents[1]).as_posix() for job in plan().build(["plain"], [0])}
    assert {"plain/seed0", "plain__oracle/seed0"} <= folders


def test_the_users_overrides_come_after_those_of_the_row(plan):
    job = next(job for job in plan(train=["model/prior=none"]).build(["other"], [0]) if job.kind == "main")
    assert job.arguments.index("model/prior=none") > job.arguments.index("model/prior=weak")


def test_a_floor_is_not_told_of_what_its_model_has_not(plan):
    given = ["model.key_channels=8", "precision=float32"]
    jobs = {job.name: job for job in plan(evaluate=given).build(["plain", "copy_first"], [0])}
    assert "model.key_channels=8" in jobs["evaluate plain seed 0"].arguments
    assert "model.key_channels=8" not in jobs["evaluate copy_first seed 0"].arguments
    assert "precision=float32" in jobs["evaluate copy_first seed 0"].arguments


def test_other_data_means_other_jobs(plan):
    first, second = (plan(data=data).build(["plain"], [0])[0] for data in "de")
    assert first.folder != second.folder


def test_a_stage_trained_for_another_table_is_used(plan):
    theirs = plan("theirs").build(["plain"], [0])[0]
    mark = theirs.folder.name.removeprefix("pretrain-")
    assert plan("ours").build(["plain"], [0])[0].folder != theirs.folder
    finish(theirs.folder, mark)
    ours = plan("ours").build(["plain"], [0])[0]
    assert ours.folder == theirs.folder
    assert ours.is_done()


def finish(folder, mark) -> None:
    """Make a folder look like that of a finished training."""
    (folder / FINAL).parent.mkdir(parents=True)
    (folder / FINAL).touch()
    provenance.write(folder, {"fingerprint": mark, "finished": "now"})


def test_a_training_is_done_when_it_is_finished_with_the_same_fingerprint(tmp_path):
    done = partial(is_trained, tmp_path / "run")
    assert not done("mark")
    finish(tmp_path / "run", "mark")
    assert done("mark")
    assert not done("another")
    provenance.write(tmp_path / "run", {"fingerprint": "mark"})
    assert not done("mark")


def test_an_evaluation_is_done_when_its_result_has_the_same_fingerprint(tmp_path):
    assert not is_evaluated(tmp_path, "mark")
    (tmp_path / "result.json").write_text('{"provenance": {"fingerprint": "mark"}}')
    assert is_evaluated(tmp_path, "mark")
    assert not is_evaluated(tmp_path, "another")
