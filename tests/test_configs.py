"""Every shipped configuration composes and builds what it names (data sets: tests/data/test_data_configs.py)."""

import inspect
from dataclasses import replace

import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class

from memvos.app import composition
from memvos.app.plan import Plan
from memvos.app.runs import build_model, instantiate
from memvos.memory import MemoryBank
from memvos.model.interface import VOSModel
from memvos.paths import conf_dir, experiments_dir
from memvos.report.overrides import lend, merge
from memvos.report.spec import Spec
from memvos.report.spec_file import load_spec

SCALES = ("smoke", "mini", "small", "paper")


def choices(group: str) -> list[str]:
    """Names of the configurations of a group."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def settings(*overrides: str, primary: str = "train") -> dict:
    """A composed configuration in plain containers."""
    scale = [] if any(override.startswith("scale=") for override in overrides) else ["scale=smoke"]
    composed = composition.compose(primary, [*scale, *overrides, "output_dir=out"])
    return composition.resolved(composed)


def network(config: dict) -> torch.nn.Module:
    """The model without storage: its parts must fit each other, its weights do not matter here."""
    with torch.device("meta"):
        return build_model(config["model"], weights="none are fetched")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Nothing is written beside the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")


def test_every_group_is_known_to_these_tests():
    tested = {"callbacks", "data", "experiment", "lit", "logger", "losses", "memory", "model", "optimizer", "scale"}
    tested |= {"stage", "trainer", "video"}
    assert {entry.name for entry in conf_dir().iterdir() if entry.is_dir() and choices(entry.name)} == tested


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("primary", ["train", "evaluate"])
@pytest.mark.parametrize("stage", ["pretrain", "main"])
def test_every_scale_composes(primary, scale, stage):
    config = settings(f"scale={scale}", f"stage={stage}", primary=primary)
    assert (config["scale"], config["stage"]) == (scale, stage)
    assert config["data"][stage]["_target_"]


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_builds_its_network_and_training(scale):
    config = settings(f"scale={scale}")
    module = instantiate({**config["lit"], "model": None}, model=network(config))
    module.remember(model=config["model"])
    optimizers = module.configure_optimizers()
    assert optimizers["lr_scheduler"]["interval"] == "step"
    assert max(group["initial_lr"] for group in optimizers["optimizer"].param_groups) == pytest.approx(
        config["learning_rate"]["main"]
    )


def test_segment_composes_with_every_memory():
    for memory in choices("memory"):
        config = composition.resolved(composition.compose("segment", [f"memory={memory}"]))
        assert MemoryBank(**config["memory"]).options == config["memory"]


def test_every_option_of_the_memory_is_a_key_to_override_and_sweep():
    changed = {"evict": "released", "temporal": "frame", "retry": False, "strict_limit": True, "restart": True}
    overrides = [f"memory.{key}={str(value).lower()}" for key, value in changed.items()]
    for memory in ("qdmn", "every_5"):
        found = settings(f"memory={memory}", *overrides, primary="evaluate")["memory"]
        assert {key: found[key] for key in changed} == changed


@pytest.mark.parametrize("model", [name for name in choices("model") if name != "qam_borrowed"])
def test_every_model_is_built(model):
    assert isinstance(network(settings(f"model={model}")), VOSModel)


def test_the_model_that_borrows_qam_asks_for_its_source():
    with pytest.raises(InstantiationException, match=r"give model\.source=FILE"):
        network(settings("model=qam_borrowed"))


@pytest.mark.parametrize("inner", ["stcn_small", "kmn_small", "copy_first"])
def test_the_qam_plugin_fits_every_kind_of_network(inner):
    config = settings("model=qam_plugin_small", f"model@model.network={inner}")
    model = network(config)
    assert instantiate({**config["lit"], "model": None}, model=model).trains_quality


@pytest.mark.parametrize(
    ("part", "choice"),
    [(p, c) for p in ("backbone", "prior", "quality", "read") for c in choices(f"model/{p}")]
    + [("start", c) for c in choices("model/start") if c != "matched_templates"],  # that one: every_part_of_dmn_aoa
)
def test_every_part_of_a_model_is_built(part, choice):
    config = settings(f"model/{part}={choice}")
    assert instantiate({key: None if key == "weights" else value for key, value in config["model"][part].items()})
    assert isinstance(network(config), VOSModel)


@pytest.mark.parametrize(
    ("part", "choice"),
    [(p, c) for p in ("template", "matcher", "refine", "proposals") for c in choices(f"model/{p}")]
    + [("start", c) for c in ("as_is", "matched_templates")]
    + [(f"{p}@model.matcher.{p}", c) for p in ("alignment", "solver", "assignment") for c in choices(f"model/{p}")],
)
def test_every_part_of_dmn_aoa_is_built(part, choice):
    assert isinstance(network(settings("experiment=dmn_aoa", f"model/{part}={choice}")), VOSModel)


def test_every_detector_is_built():
    for detector in choices("model/detector"):
        config = settings(
            "experiment=dmn_aoa", "model/proposals=detector", f"model/detector@model.proposals.detector={detector}"
        )
        assert instantiate({**config["model"]["proposals"]["detector"], "_partial_": False}).load


@pytest.mark.parametrize("losses", choices("losses"))
def test_every_loss_is_built(losses):
    assert set(instantiate(settings(f"losses={losses}")["losses"])) == {"segmentation", "quality"}


@pytest.mark.parametrize("optimizer", choices("optimizer"))
@pytest.mark.parametrize("scheduler", choices("lit/scheduler"))
def test_every_optimizer_and_schedule_is_built(optimizer, scheduler):
    config = settings(f"optimizer={optimizer}", f"lit/scheduler={scheduler}")
    made = instantiate(config["optimizer"])([torch.nn.Parameter(torch.zeros(1))])
    assert instantiate(config["lit"]["scheduler"])(made).get_last_lr()[0] <= config["learning_rate"]["main"]


@pytest.mark.parametrize("lit", sorted(set(choices("lit")) - {"proposals"}))  # that one: test_every_experiment
def test_every_module_is_built(lit):
    config = settings(f"lit={lit}")
    assert instantiate({**config["lit"], "model": None}, model=network(config)).model is not None


@pytest.mark.parametrize("callbacks", choices("callbacks"))
@pytest.mark.parametrize("scale", SCALES)
def test_every_callback_is_built(callbacks, scale):
    config = settings(f"callbacks={callbacks}", f"scale={scale}")
    assert all(instantiate(entry) for entry in config["callbacks"].values() if entry is not None)


@pytest.mark.parametrize("logger", choices("logger"))
def test_every_logger_is_built(logger):
    for entry in settings(f"logger={logger}")["logger"].values():
        assert instantiate(entry).log_metrics


@pytest.mark.parametrize("trainer", choices("trainer"))
def test_every_trainer_is_built(trainer):
    if trainer == "gpu" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    on_cpu = ["trainer.accelerator=cpu", "trainer.devices=2"] if trainer == "ddp" else []
    config = settings(f"trainer={trainer}", *on_cpu)
    assert instantiate(config["trainer"], logger=False).max_steps == config["steps"]["main"]


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_is_built(experiment):
    for scale in SCALES:
        config = settings(f"scale={scale}", f"experiment={experiment}")
        module = instantiate({**config["lit"], "model": None}, model=network(config))
        assert module.configure_optimizers()["lr_scheduler"]["interval"] == "step"
        assert all(instantiate(entry) for entry in config["callbacks"].values() if entry is not None)


@pytest.mark.parametrize("data", choices("data"))
def test_every_data_set_has_both_stages_and_its_splits(data):
    config = settings(f"data={data}")["data"]
    assert config["name"] == data
    assert all("_target_" in config[part] for part in ("pretrain", "main", "val", "test"))
    assert all({"batch_size", "epoch_size"}.isdisjoint(config[stage]) for stage in ("pretrain", "main"))  # a training's


@pytest.mark.parametrize("data", choices("data"))
def test_dmn_aoa_gives_the_stages_of_every_data_set_keys_that_they_have(data):
    config = settings("experiment=dmn_aoa", f"data={data}")["data"]
    for stage in ("pretrain", "main"):
        known = inspect.signature(get_class(config[stage]["_target_"])).parameters
        assert set(config[stage]) - {"_target_"} <= set(known)


@pytest.mark.parametrize("table", sorted(path.stem for path in experiments_dir().glob("*.yaml")))
@pytest.mark.parametrize("scale", ["mini", "paper"])
def test_every_table_trains_networks_that_are_built(table, scale):
    spec = load_spec(experiments_dir() / f"{table}.yaml").on("synthetic").at(scale)
    for overrides in {merge(row.overrides, ("stage=main",)) for row in (*spec.rows, *spec.lenders)}:
        config = settings(f"scale={scale}", *overrides)
        assert instantiate({**config["lit"], "model": None}, model=network(config)).configure_optimizers()


@pytest.mark.parametrize("table", sorted(path.stem for path in experiments_dir().glob("*.yaml")))
def test_every_evaluation_of_a_table_composes(table):
    spec = load_spec(experiments_dir() / f"{table}.yaml").on("synthetic").at("mini")
    lenders = {lender.id: "file" for lender in spec.lenders}
    for overrides in {evaluation.overrides for evaluation in spec.evaluations()}:
        config = settings("scale=mini", *lend(overrides, lenders), primary="evaluate")
        assert MemoryBank(**config["memory"]).every == config["memory"]["every"]


def test_main_training_alone_has_the_rates_of_the_pretraining():
    alone = load_spec(experiments_dir() / "dmn_aoa_table3.yaml").stage("main_alone")
    config = settings("scale=paper", "experiment=dmn_aoa", *alone.overrides)
    assert (config["stage"], config["optimizer"]["lr"]) == ("main", 1e-4)
    assert config["lit"]["learning_rate_factors"] == {"trunk": 0.1}  # 1e-5


REAL = ("scale=mini", "data=davis2016", "data.root=here", "video=real", "networks.weights=FILE")


def on_real_video(table: str) -> Spec:
    """A table as `memvos reproduce` takes it on real video."""
    return (
        load_spec(experiments_dir() / f"{table}.yaml").on("davis2016").at("mini", settings(*REAL)["networks"]["size"])
    )


@pytest.mark.parametrize(
    ("table", "row"), [("qdmn_table5", "both"), ("qdmn_table3", "stm"), ("qdmn_table3", "stcn_qam")]
)
def test_qdmn_on_real_video_has_medium_networks_and_qam_a_grid_of_the_crop(table, row):
    config = settings(*REAL, *on_real_video(table).row(row).overrides)
    model = config["model"]
    inner = model.get("network", model)
    backbone = inner.get("backbone") or inner["key_backbone"]
    assert isinstance(network(config), VOSModel)
    assert (config["scale"], config["data"]["size"], config["optimizer"]["lr"]) == ("mini", 192, 2e-4)
    assert config["lit"]["learning_rate_factors"] == {"projection.key": 0.3, "quality": 0.3, "trunk": 0.2}
    assert (backbone["depth"], backbone["width"], backbone["weights"]) == (18, 64, "FILE")
    assert model.get("grid") == (None if row == "stm" else 12)


def test_dmn_aoa_on_real_video_keeps_its_recipe_on_resnet18_and_its_detectors_theirs(tmp_path):
    given = [*REAL, "model=dmn_aoa_small"]
    spec = on_real_video("dmn_aoa_table3")
    spec = replace(spec, rows=(spec.row("f0"),))
    plan = Plan(spec, tmp_path, tmp_path / "results", dict.fromkeys(("train", "evaluate"), given), lambda *_, **__: "d")
    jobs = [(job.kind, settings(*job.arguments[1:], primary=job.arguments[0])) for job in plan.build([0])]
    kinds = ["proposals", "proposals_other", "pretrain", "main", "evaluate"]
    assert [kind for kind, _ in jobs] == [*kinds, *["evaluate"] * 4]  # the row, two oracles, two floors
    configs = dict(jobs[:5])
    for stage in ("pretrain", "main", "evaluate"):
        model, data = configs[stage]["model"], configs[stage]["data"]["main"]
        assert (model["channels"], model["grid"], model["backbone"]["weights"]) == (128, 14, "FILE")
        assert (data["size"], data["frames"], data["max_skip"]) == (192, 4, 5)
    assert configs["main"]["steps"]["main"] == 500
    assert configs["main"]["optimizer"]["lr"] == 2e-4
    for stage, rate in (("proposals", 1e-3), ("proposals_other", 5e-4)):
        assert configs[stage]["model"]["_target_"].endswith("Detector")
        assert configs[stage]["optimizer"]["lr"] == rate
    assert jobs[6][1]["model"]["proposals"]["_target_"].endswith("OracleProposals")
    floors = [config["model"] for _, config in jobs[7:]]
    assert [model["_target_"].split(".")[-1] for model in floors] == ["CopyFirst", "LabelPropagation"]
    assert (floors[1]["backbone"]["width"], floors[1]["backbone"]["weights"]) == (64, "FILE")


@pytest.mark.parametrize("video", choices("video"))
def test_every_network_is_trained_on_every_kind_of_video(video):
    for chosen in (["model=stm_small"], ["model=stm_medium"], ["model=qam_plugin_medium"], ["experiment=dmn_aoa"]):
        config = settings(f"video={video}", *chosen)
        assert instantiate({**config["lit"], "model": None}, model=network(config)).configure_optimizers()


def test_the_grid_of_qam_is_that_of_the_scales_crop_elsewhere():
    assert {settings(f"model={name}")["model"]["grid"] for name in ("qdmn_medium", "qam_plugin_medium")} == {11}


SHORT = ("smoke", "mini", "small")


@pytest.mark.parametrize("scale", SHORT)
@pytest.mark.parametrize("template", [(), ("model/template=first_frame",), ("model.template.whole_frames=true",)])
def test_both_sides_of_the_memory_read_of_dmn_aoa_are_slowed_down_in_short_trainings(scale, template):
    config = settings(f"scale={scale}", "experiment=dmn_aoa", *template)
    module = instantiate({**config["lit"], "model": None}, model=network(config))
    groups = module.configure_optimizers()["optimizer"].param_groups
    rates = {id(weight): group["initial_lr"] for group in groups for weight in group["params"]}
    of_read = {
        round(rates[id(weight)] / config["optimizer"]["lr"], 6)
        for name, weight in module.named_parameters()
        if name.startswith(("model.template.query_projection", "model.template.memory_projection.key"))
    }
    assert of_read == (set() if "model/template=first_frame" in template else {0.3})


@pytest.mark.parametrize("scale", SHORT)
def test_the_embedding_of_time_outweighs_no_feature_and_has_no_offset_that_short_trainings_never_see(scale):
    config = settings(f"scale={scale}", "experiment=dmn_aoa")
    position, main = config["model"]["template"]["position"], config["data"]["main"]
    assert position["longest"] == (main["frames"] - 1) * main["max_skip"]
    assert position["scale"] == pytest.approx(config["model"]["channels"] ** -0.5, rel=0.01)


def test_the_presets_keep_the_embedding_of_the_transformer_and_independent_weights():
    for preset in ("dmn_aoa", "dmn_aoa_strict", "dmn_aoa_fast", "dmn_aoa_dmm"):
        model = settings(f"model={preset}")["model"]
        assert (model["template"]["position"]["longest"], model["template"]["position"]["scale"]) == (None, 1.0)
        assert model["start"]["_target_"].endswith("AsIs")


def test_dmn_aoa_steps_up_to_five_frames_on_every_data_set():
    """A tree's own curriculum comes before the common one."""
    for data in ("synthetic", "davis2017", "paper", "dmn_aoa_paper"):
        main = settings("experiment=dmn_aoa", "scale=paper", f"data={data}")["data"]["main"]
        assert {entry.get("max_skip", main["max_skip"]) for entry in main["trees"]} == {5}


def test_the_published_training_of_dmn_aoa_is_pretrained_on_coco_alone():
    data = settings("experiment=dmn_aoa", "scale=paper", "data=dmn_aoa_paper", "data.coco_root=here")["data"]
    trees = [entry["tree"] for entry in data["pretrain"]["trees"]]
    assert [(tree["root"], tree["images"]) for tree in trees] == [("here", "train2017")]
    assert [entry["tree"]["_target_"] for entry in data["main"]["trees"]] == ["memvos.data.trees.DavisTree"]


def test_teachers_force_in_the_pretraining_of_dmn_aoa_alone():
    def forcing(*overrides):
        return settings(*overrides)["lit"]["teacher_forcing"]

    assert [forcing("experiment=dmn_aoa", f"stage={stage}") for stage in ("pretrain", "main")] == [0.5, 0.0]
    assert {forcing(f"stage={stage}") for stage in ("pretrain", "bl30k", "main")} == {0.0}


def test_strict_dmn_aoa_has_only_what_the_paper_names():
    boxes = {"margin": 1.0, "least": 1.0, "trim": 0.0, "shift": 0.0, "scale": [1.0, 1.0]}
    for scale in SCALES:
        usual, strict = (
            settings(f"scale={scale}", f"experiment={name}", "stage=pretrain") for name in ("dmn_aoa", "dmn_aoa_strict")
        )
        assert strict["model"] == usual["model"] | boxes
        assert (strict["lit"]["teacher_forcing"], usual["lit"]["teacher_forcing"]) == (0.0, 0.5)
        loss = strict["lit"]["auxiliary_loss"]
        assert (loss["coarse"], loss["match"]) == (0.0, 0.0)
    assert strict["model"] == settings("model=dmn_aoa_strict")["model"]  # of scale=paper, the last


@pytest.mark.parametrize("stage", ["pretrain", "main"])
def test_every_object_that_a_detector_sees_is_labelled(stage, tmp_path):
    """Objects are chosen in a clip's first frame; one that enters later would count as background."""
    small = ["data.clips={train: 2, val: 1, test: 1}", "data.frames=6", "data.frame_size=[64,64]", "data.size=64"]
    config = settings("experiment=proposals", f"stage={stage}", f"data.cache_dir={tmp_path}", *small)
    assert config["batch_size"] == 8
    clip = instantiate(config["data"][stage], batch_size=1).dataset[0, 0.0]
    assert (len(clip.frames), clip.masks.shape[1]) == (1, 10)


def test_the_detector_is_tuned_on_embedded_clips_of_another_seed_whatever_the_data():
    for data, scale, size in (("synthetic", "smoke", [64, 64]), ("davis2016", "paper", [240, 320])):
        config = settings(f"scale={scale}", f"data={data}", "experiment=proposals_other")
        tree = config["data"]["main"]["trees"][0]["tree"]
        assert (tree["seed"], tree["size"], config["stage"]) == (1, size, "main")


def test_the_settings_of_youtube_do_not_gate_what_has_no_gate():
    spec = load_spec(experiments_dir() / "qdmn_table6.yaml").on("youtube2018").at("paper")
    memories = {
        evaluation.name: settings(*evaluation.overrides, "data=youtube2018", primary="evaluate")["memory"]
        for evaluation in spec.evaluations()
        if evaluation.row == "weak"
    }
    limits = {name: (memory["sigma"], memory["beta"]) for name, memory in memories.items()}
    assert limits == {"weak": (0.75, 10), "weak__no_gate": (None, None), "weak__oracle_gate": (0.75, 10)}
    assert spec.row("strong").printed == {"J_G": 77.5, "F_G": 83.8, "G": 80.7}


@pytest.mark.parametrize("table", ["qdmn_table2", "qdmn_table6", "dmn_aoa_table2"])
def test_youtube_is_evaluated_at_a_short_side_of_480_pixels_and_nothing_else_is(table):
    spec = load_spec(experiments_dir() / f"{table}.yaml").at("paper")
    for data in ("youtube2018", "youtube2019", "youtube_held_out"):
        assert {evaluation.overrides.count("short_side=480") for evaluation in spec.on(data).evaluations()} == {1}
    for data in ("davis2017", "synthetic"):
        assert "short_side=480" not in {text for one in spec.on(data).evaluations() for text in one.overrides}
    evaluation = next(iter(spec.on("youtube_held_out").evaluations()))
    assert settings(*evaluation.overrides, "data=youtube_held_out", primary="evaluate")["short_side"] == 480


def test_the_choice_of_proposals_is_as_sharp_as_the_matching_layer():
    def gamma(*overrides):
        return settings("experiment=dmn_aoa", *overrides)["lit"]["auxiliary_loss"]["gamma"]

    assert gamma() == gamma("model/solver@model.matcher.solver=hungarian") == gamma("model/matcher=none") == 10.0
    assert gamma("model.matcher.solver.gamma=20") == 20
    assert gamma("model=qam_plugin", "model@model.network=dmn_aoa_smoke", "model.network.matcher.solver.gamma=5") == 5


def test_the_stage_of_bl30k_takes_the_settings_of_the_data():
    def stage(*overrides):
        return settings("data=bl30k", "stage=bl30k", "scale=paper", *overrides)["data"]["bl30k"]

    published = stage()
    changed = stage("data.max_skip=5", "data.crop=[0.5,1]", "data.frame_angle=0", "data.frame_shear=1")
    warp = {"scale": [0.25, 1.0], "frame_angle": 15, "frame_shear": 10}
    assert published["max_skip"] == "bl30k"
    assert published["transforms"][0].items() >= warp.items()
    assert changed["max_skip"] == 5
    assert changed["transforms"][0].items() >= {"scale": [0.5, 1], "frame_angle": 0, "frame_shear": 1}.items()


@pytest.mark.parametrize("name", choices("optimizer"))
def test_gradients_can_be_clipped_whatever_the_optimiser(name):
    assert not settings(f"optimizer={name}")["optimizer"]["fused"]


@pytest.mark.parametrize("table", sorted(path.stem for path in experiments_dir().glob("*.yaml")))
def test_every_report_of_scores_has_an_oracle_gate_and_the_floors(table):
    spec = load_spec(experiments_dir() / f"{table}.yaml")
    if spec.bench is None:
        assert any(spec.oracle(row) for row in spec.rows)
        assert [floor.id for floor in spec.floors] == ["copy_first", "matching"]
