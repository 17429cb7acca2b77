"""From a specification to jobs: order, shared stages, what is done, floors once."""

from dataclasses import replace

import pytest

from memvos.app import composition
from memvos.app.finished import FINAL
from memvos.app.plan import Plan
from memvos.report.entries import Curve, Row, Stage, Sweep, Variant
from memvos.report.spec import Spec

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


@pytest.fixture(scope="module")
def composed():
    """Configurations composed so far; composing is what takes the time here."""
    return {}


@pytest.fixture
def plan(tmp_path, composed):
    """Make plans in a folder; data has a made-up fingerprint."""

    def make(name="small", data="d", **overrides) -> Plan:
        both = ["scale=smoke"]
        given = {"train": [*both, *overrides.get("train", [])], "evaluate": [*both, *overrides.get("evaluate", [])]}
        folder = tmp_path / name
        return Plan(spec(), folder, folder / "results", given, lambda config, **arguments: data, _configs=composed)

    return make


def build(plan: Plan, rows, seeds=(0,)):
    plan.build(seeds)
    return plan.wanted(rows, seeds)


def test_rows_with_equal_trainings_share_their_stages(plan):
    jobs = {job.name: job for job in build(plan(), ["plain", "gated"])}
    assert [name for name, job in jobs.items() if job.kind != "evaluate"] == [
        "plain pretrain seed 0",
        "plain main seed 0",
    ]
    assert jobs["evaluate gated seed 0"].needs == ("plain main seed 0",)


def test_a_stage_starts_from_the_one_before(plan):
    jobs = {job.name: job for job in build(plan(), ["plain"], [0])}
    main, pretrain = jobs["plain main seed 0"], jobs["plain pretrain seed 0"]
    assert main.needs == (pretrain.name,)
    assert f"weights='{pretrain.folder / FINAL}'" in main.arguments


def test_every_seed_is_trained_and_floors_are_scored_once(plan):
    names = [job.name for job in build(plan(), ["other", "copy_first"], [0, 1])]
    assert "other main seed 0" in names
    assert "other main seed 1" in names
    assert [name for name in names if "copy_first" in name] == ["evaluate copy_first seed 0"]


def test_evaluations_lie_where_the_report_looks_for_them(plan):
    folders = {job.folder.relative_to(job.folder.parents[1]).as_posix() for job in build(plan(), ["plain"], [0])}
    assert {"plain/seed0", "plain__oracle/seed0"} <= folders


def test_runs_are_named_by_row_and_stage_or_variant_the_same_for_all_seeds(plan):
    names = [
        next(one for one in job.arguments if one.startswith("run_name=")) for job in build(plan(), ["plain"], [0, 1])
    ]
    assert sorted(set(names)) == [f"run_name='plain{part}'" for part in ("", "-main", "-pretrain", "__oracle")]
    assert len(names) == 2 * len(set(names))


@pytest.mark.parametrize("id", ["50", "true", "null", "a,b"])
def test_an_id_is_text_whatever_it_looks_like(plan, id):
    made = plan()
    made.spec = replace(spec((replace(ROWS[0], id=id, variants=()),)), name=id, base=id)
    for job in build(made, [id]):
        config = composition.resolved(composition.compose(job.arguments[0], job.arguments[1:]))
        name = id if job.kind == "evaluate" else f"{id}-{job.kind}"
        assert [config[key] for key in ("table", "row", "run_name")] == [id, id, name]


def test_the_users_overrides_come_after_those_of_the_row(plan):
    job = next(job for job in build(plan(train=["model/prior=none"]), ["other"], [0]) if job.kind == "main")
    assert job.arguments.index("model/prior=none") > job.arguments.index("model/prior=weak")


def test_a_floor_is_not_told_of_what_its_model_has_not(plan):
    given = ["model.key_channels=8", "precision=float32"]
    jobs = {job.name: job for job in build(plan(evaluate=given), ["plain", "copy_first"], [0])}
    assert "model.key_channels=8" in jobs["evaluate plain seed 0"].arguments
    assert "model.key_channels=8" not in jobs["evaluate copy_first seed 0"].arguments
    assert "precision=float32" in jobs["evaluate copy_first seed 0"].arguments


def test_a_row_is_not_told_of_parts_that_its_network_has_not(plan):
    given = ["model.quality.norm=group", "precision=float32"]
    made = plan(train=given[:1], evaluate=given)
    jobs = {job.name: job for job in build(made, ["plain", "other"], [0])}
    with_norm = [name for name, job in jobs.items() if given[0] in job.arguments]
    assert with_norm == ["other pretrain seed 0", "other main seed 0", "evaluate other seed 0"]
    assert made.taken == {"model.quality.norm", "precision", "scale"}


def test_a_floor_stays_itself_whatever_model_is_chosen(plan):
    given = ["model=qdmn_medium", "experiment=modern"]
    jobs = {job.name: job for job in build(plan(evaluate=given), ["plain", "copy_first"], [0])}
    assert set(given) <= set(jobs["evaluate plain seed 0"].arguments)
    assert not set(given) & set(jobs["evaluate copy_first seed 0"].arguments)


def test_other_data_means_other_jobs(plan):
    first, second = (build(plan(data=data), ["plain"], [0])[0] for data in "de")
    assert first.folder != second.folder


def test_what_finished_results_needed_is_not_trained_again(plan, evaluated):
    for job in build(plan(), ["plain"]):
        if job.kind == "evaluate":
            mark = next(part for part in job.arguments if part.startswith("fingerprint="))
            evaluated(job.folder, mark.split("'")[1])
    left = [job.name for job in build(plan(), ["plain", "other"]) if not job.is_done()]
    assert left == ["other pretrain seed 0", "other main seed 0", "evaluate other seed 0"]


def test_a_stage_trained_for_another_table_is_used(plan, finish):
    theirs = build(plan("theirs"), ["plain"], [0])[0]
    mark = theirs.folder.name.removeprefix("pretrain-")
    assert build(plan("ours"), ["plain"], [0])[0].folder != theirs.folder
    finish(theirs.folder, mark)
    ours = build(plan("ours"), ["plain"], [0])[0]
    assert ours.folder == theirs.folder
    assert ours.is_done()


def test_results_without_masks_are_done_again_where_masks_are_asked_for_and_are_not_stale(plan, evaluated):
    made = plan(evaluate=["write_masks=true"])
    (job,) = build(made, ["copy_first"])
    mark = next(part for part in job.arguments if part.startswith("fingerprint="))
    evaluated(job.folder, mark.split("'")[1])
    assert not job.is_done()
    assert made.set_aside_stale() == []


def test_the_oracle_gate_is_left_out_on_data_without_masks_to_score(plan, evaluated):
    made = plan()
    made.unscored = lambda config: True
    kept = made.results / "plain__oracle" / "seed1"
    evaluated(kept, "with the masks that there were")
    jobs = build(made, ["plain", "copy_first"], [0, 1])
    assert made.left_out == {made.results / "plain__oracle" / f"seed{k}": "plain__oracle" for k in (0, 1)}
    scored = [job.name for job in jobs if job.kind == "evaluate"]
    assert scored == ["evaluate plain seed 0", "evaluate copy_first seed 0", "evaluate plain seed 1"]
    assert made.set_aside_stale() == [kept]


def test_results_of_another_fingerprint_are_set_aside(plan, evaluated):
    made = plan()
    build(made, ["plain", "copy_first"])
    folders = [made.jobs[name].folder for name in ("evaluate plain seed 0", "evaluate copy_first seed 0")]
    mark = next(part for part in made.jobs["evaluate copy_first seed 0"].arguments if part.startswith("fingerprint="))
    evaluated(folders[0], "of an older configuration")
    evaluated(folders[1], mark.split("'")[1])
    assert made.set_aside_stale() == [folders[0]]
    assert (folders[0] / "stale_result.json").is_file()
    assert (folders[1] / "result.json").is_file()


def test_what_a_trial_of_another_setting_set_aside_is_taken_back(plan, evaluated):
    made = plan()
    build(made, ["plain", "copy_first"])
    marks = {made.jobs[name].folder: one.fingerprint for name, one in made.scored.items()}
    for folder, mark in marks.items():
        evaluated(folder, mark)
    tried, *others = marks
    trial = plan(evaluate=["short_side=32"])
    build(trial, ["plain"])
    evaluated(tried, next(one.fingerprint for name, one in trial.scored.items() if trial.jobs[name].folder == tried))
    assert trial.take_back() == []
    assert trial.set_aside_stale() == others
    (others[-1] / "objects.csv").write_text("")  # not whole any more
    assert made.take_back() == others[:-1]
    assert [job.folder for job in made.jobs.values() if job.is_done()] == others[:-1]
    assert not (others[0] / "stale_result.json").exists()


def test_a_stale_result_whose_files_a_later_one_has_replaced_is_not_taken_back(plan, evaluated):
    made = plan()
    build(made, ["copy_first"])
    folder, mark = next((made.jobs[name].folder, one.fingerprint) for name, one in made.scored.items())
    evaluated(folder, mark)
    (folder / "result.json").rename(folder / "stale_result.json")
    evaluated(folder, "later")
    assert made.take_back() == []
    assert made.set_aside_stale() == [folder]


LENT = Row("lent", "lent", ("model=stm_small",), ("model=qam_borrowed", "model.source={weights.qdmn}"), BOTH)
LENDER = Row("qdmn", "QDMN", ("model/prior=weak",), (), BOTH)


def test_an_evaluation_with_lent_weights_waits_for_both_trainings(plan):
    made = plan()
    made.spec = replace(spec((ROWS[0], LENT)), lenders=(LENDER,))
    jobs = {job.name: job for job in build(made, ["lent"])}
    job = jobs["evaluate lent seed 0"]
    assert job.needs == ("lent main seed 0", "qdmn main seed 0")
    assert f"model.source='{jobs['qdmn main seed 0'].folder / FINAL}'" in job.arguments
    assert "evaluate qdmn seed 0" not in jobs


def test_the_fingerprint_of_lent_weights_counts_not_their_place(plan, tmp_path):
    marks = []
    for name, qdmn in (("one", LENDER), ("two", LENDER), ("three", replace(LENDER, overrides=("model/prior=none",)))):
        made = plan(name)
        made.spec = replace(spec((ROWS[0], LENT)), lenders=(qdmn,))
        job = {job.name: job for job in build(made, ["lent"])}["evaluate lent seed 0"]
        marks.append(next(part for part in job.arguments if part.startswith("fingerprint=")))
    assert marks[0] == marks[1] != marks[2]


PROPOSALS = Stage("proposals", ("experiment=proposals", "stage=pretrain"), gives="model.proposals.checkpoint")
TUNED = Stage("tuned", ("experiment=proposals", "stage=main"), "proposals", gives="model.proposals.checkpoint")
MATCHING = ("experiment=dmn_aoa", "model/proposals=detector")


@pytest.fixture
def matching(tmp_path, composed):
    """Plan a table whose rows are trained with one proposal detector and scored with it, or with another."""

    def make(*mine: str) -> Plan:
        rows = (
            Row("own", "own", MATCHING, ("memory=first",), ("proposals", "pretrain")),
            Row("other", "other", MATCHING, ("memory=first",), ("proposals", "pretrain", "tuned")),
            Row("again", "again", MATCHING, ("memory=first",), ("proposals", "tuned", "pretrain", "proposals")),
        )
        table = Spec("m", "M", "here", "none", ("J&F",), "J&F", "own", rows, (), (*STAGES, PROPOSALS, TUNED))
        given = {command: ["scale=smoke", *mine] for command in ("train", "evaluate")}
        return Plan(table, tmp_path, tmp_path / "results", given, lambda c, **a: "d", _configs=composed)

    return make


def told(job) -> str | None:
    key = "model.proposals.checkpoint="
    return next((a.removeprefix(key).strip("'") for a in reversed(job.arguments) if a.startswith(key)), None)


def test_what_a_stage_gives_is_told_to_all_that_follows(matching):
    plan = matching()
    jobs = {job.name: job for job in build(plan, ["own", "other", "again"], [0, 1])}
    detectors = [name for name in jobs if name.startswith("m ")]
    assert detectors == ["m proposals seed 0", "m tuned seed 0"]  # once for all rows and seeds
    first, tuned = (str(jobs[name].folder / FINAL) for name in detectors)
    assert told(jobs["own pretrain seed 1"]) == first
    assert told(jobs["evaluate own seed 0"]) == first
    assert told(jobs["evaluate other seed 0"]) == tuned
    assert "other pretrain seed 0" not in jobs  # the training is that of `own`; only the evaluation differs
    assert set(jobs["evaluate other seed 0"].needs) == {"own pretrain seed 0", "m tuned seed 0"}
    assert (told(jobs["again pretrain seed 0"]), told(jobs["evaluate again seed 0"])) == (tuned, first)
    assert f"weights='{first}'" in jobs["m tuned seed 0"].arguments


def test_a_detector_of_the_users_own_takes_the_place_of_the_stages(matching):
    jobs = {job.name: job for job in build(matching("model.proposals.checkpoint=mine.ckpt"), ["own"])}
    assert set(jobs) == {"own pretrain seed 0", "evaluate own seed 0"}
    assert told(jobs["evaluate own seed 0"]) == "mine.ckpt"


def test_rows_that_a_detector_of_the_users_own_would_make_equal_are_not_run(matching, evaluated):
    plan = matching("model.proposals.checkpoint=mine.ckpt")
    kept = plan.results / "other" / "seed0"
    evaluated(kept, "with the detector of the table")
    jobs = build(plan, ["own", "other", "again"])
    assert [job.name for job in jobs] == ["own pretrain seed 0", "evaluate own seed 0"]
    assert plan.repeats == {kept: "other", plan.results / "again" / "seed0": "again"}
    assert plan.set_aside_stale() == [kept]
    table = matching()
    build(table, ["own", "other", "again"])
    assert not table.repeats


@pytest.fixture
def with_detector(plan):
    """A plan of a table whose row has a detector trained for it, and a variant with true masks in its place."""

    def make(**overrides) -> Plan:
        made = plan("detected", **overrides)
        row = Row("f0", "F0", ("experiment=dmn_aoa", "model/proposals=detector"), (), ("proposals", "main"), ("true",))
        stages = (
            Stage("proposals", ("experiment=proposals", "stage=main"), gives="model.proposals.checkpoint"),
            Stage("main", ("stage=main",)),
        )
        variants = (Variant("true", "true masks", ("model/proposals=oracle",)),)
        made.spec = replace(spec(), base="f0", rows=(row,), floors=(), stages=stages, variants=variants)
        return made

    return make


def test_a_variant_with_true_masks_as_proposals_is_not_told_of_the_detector(with_detector):
    jobs = {job.name: job for job in build(with_detector(), ["f0"])}
    told = {name: [one for one in job.arguments if "proposals" in one] for name, job in jobs.items()}
    checkpoint = jobs["small proposals seed 0"].folder / FINAL
    assert told["evaluate f0 seed 0"] == ["model/proposals=detector", f"model.proposals.checkpoint='{checkpoint}'"]
    assert told["evaluate f0 true seed 0"] == ["model/proposals=oracle"]
    assert jobs["evaluate f0 true seed 0"].needs == ("f0 main seed 0",)


def test_a_variant_keeps_the_part_of_the_network_that_it_chooses(with_detector):
    mine = ["model/proposals=mask_rcnn", "model.proposals.checkpoint=mine.pth", "model.margin=1.5"]
    jobs = {job.name: job for job in build(with_detector(train=mine, evaluate=mine), ["f0"])}
    of_model = {
        name: [one for one in jobs[f"evaluate {name} seed 0"].arguments if one.startswith("model")]
        for name in ("f0", "f0 true")
    }
    assert of_model["f0"] == ["model/proposals=detector", *mine]
    assert of_model["f0 true"] == ["model.margin=1.5", "model/proposals=oracle"]


SIGMA = Sweep(
    "sigma", "σ", "σ", "row", "memory.sigma={value}", (0, 0.8), (Curve("row", "row"), Curve("o", "o", "oracle")), (0.8,)
)
RATE = Sweep("rate", "rate", "%", "row", "corruption_rate={ratio}", (0, 30), (Curve("none", "none", "no_gate"),), (0,))


@pytest.fixture
def settings(plan):
    """By evaluation, (every, σ, β, gate, corruption rate) of a table with variants and two sweeps, with overrides."""

    def composed(*mine: str) -> dict[str, tuple]:
        made = plan("swept", evaluate=mine)
        variants = (
            Variant("no_gate", "no gate", ("memory=every_5",), ungated=True),
            Variant("no_sigma", "no σ", ("memory.sigma=null",), ungated=True),
            Variant("oracle", "oracle gate", ("gate=oracle",), oracle=True),
        )
        row = Row("row", "row", ("model=copy_first",), ("memory=qdmn",), (), tuple(one.id for one in variants))
        made.spec = replace(spec((row,)), base="row", floors=(), variants=variants, sweeps=(SIGMA, RATE))
        made.build([0])
        found = {}
        for name, job in made.jobs.items():
            config = composition.resolved(composition.compose("evaluate", job.arguments[1:]))
            memory = [config["memory"][key] for key in ("every", "sigma", "beta")]
            found[name.split()[-3]] = (*memory, config["gate"], config["corruption_rate"])
        assert made.kept.keys() <= set(mine)
        return found

    return composed


PLAIN = {
    "row": (5, 0.8, 20, "predicted", 0),
    "no_gate": (5, None, None, "predicted", 0),
    "no_sigma": (5, None, 20, "predicted", 0),
    "oracle": (5, 0.8, 20, "oracle", 0),
    "sigma0": (5, 0, 20, "predicted", 0),
    "oracle_sigma0": (5, 0, 20, "oracle", 0),
    "no_gate_rate30": (5, None, None, "predicted", 0.3),
}


@pytest.mark.parametrize(
    ("mine", "changed"),
    [
        ([], {}),
        (["memory.sigma=0.5"], {}),  # the row and the oracle gate are the points at 0.8
        (["memory={sigma: 0.5}"], {}),
        (["++memory.sigma=0.5", "~memory.sigma"], {}),
        (
            ["memory.every=2"],
            {
                "row": (2, 0.8, 20, "predicted", 0),
                "no_sigma": (2, None, 20, "predicted", 0),
                "oracle": (2, 0.8, 20, "oracle", 0),
                "sigma0": (2, 0, 20, "predicted", 0),
                "oracle_sigma0": (2, 0, 20, "oracle", 0),
            },
        ),
        (
            ["memory=qdmn_released_youtube", "memory.every=3"],
            {
                "row": (3, 0.8, 10, "predicted", 0),
                "no_sigma": (3, None, 10, "predicted", 0),
                "oracle": (3, 0.8, 10, "oracle", 0),
                "sigma0": (3, 0, 10, "predicted", 0),
                "oracle_sigma0": (3, 0, 10, "oracle", 0),
            },
        ),
        (
            ["corruption_rate=0.2"],
            {
                "row": (5, 0.8, 20, "predicted", 0.2),
                "no_sigma": (5, None, 20, "predicted", 0.2),
                "oracle": (5, 0.8, 20, "oracle", 0.2),
                "sigma0": (5, 0, 20, "predicted", 0.2),
                "oracle_sigma0": (5, 0, 20, "oracle", 0.2),
            },
        ),
        (["gate=oracle"], {"row": (5, 0.8, 20, "oracle", 0)}),
        (["gate=predicted"], {}),
    ],
)
def test_variants_and_points_of_sweeps_keep_what_makes_them_that(settings, mine, changed):
    assert settings(*mine) == PLAIN | changed


def test_what_a_row_is_scored_with_is_the_users_to_change(plan):
    made = plan(evaluate=["memory=first", "gate=oracle"])
    jobs = {job.name: job for job in build(made, ["plain", "other"])}
    for name in ("plain", "other"):
        config = composition.resolved(composition.compose("evaluate", jobs[f"evaluate {name} seed 0"].arguments[1:]))
        assert (config["memory"]["every"], config["gate"]) == (None, "oracle")
    assert made.kept == {"gate=oracle": {"plain__oracle": "plain"}}


def test_true_masks_as_proposals_are_left_out_where_there_are_none(with_detector):
    made = with_detector()
    made.unscored = lambda config: True
    made.build([0])
    assert [*made.left_out.values()] == ["f0__true"]
