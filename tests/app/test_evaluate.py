"""`memvos evaluate` on a tiny benchmark: what it writes, and which weights it takes."""

import json

import pytest
import torch

from memvos.app import provenance
from memvos.app.evaluate import videos_in_training

UNSEEN = "callbacks.validation=null"
QUICK = ("model/quality=none", "model/prior=none", UNSEEN)


def test_an_evaluation_writes_scores_with_their_proof(memvos, tiny, home):
    memvos("train", *tiny, *QUICK, "output_dir=a")
    weights = "weights=a/checkpoints/final.ckpt"
    code, output, error = memvos("evaluate", *tiny, *QUICK, weights, "row=baseline", "output_dir=e")
    assert code == 0, error
    assert "J&F" in output
    result = json.loads((home / "e" / "result.json").read_text())
    assert (result["row"], result["scale"], result["data"], result["split"]) == (
        "baseline",
        "smoke",
        "synthetic",
        "test",
    )
    assert result["sequences"] == 2
    assert result["provenance"]["weights"]["sha256"] == provenance.file_digest(
        home / "a" / "checkpoints" / "final.ckpt"
    )
    assert {"objects.csv", "quality.csv"} <= {path.name for path in (home / "e").iterdir()}


def test_scores_and_the_configuration_they_belong_to_go_to_wandb(memvos, tiny, home, wandb_runs):
    names = ("table=qdmn_table5", "row=copy_first", "run_name=copy_first")
    floor = ("model=copy_first", "memory=first", "split=val", "logger=wandb", "output_dir=e")
    code, _, error = memvos("evaluate", *tiny, *floor, *names)
    assert code == 0, error
    scores = json.loads((home / "e" / "result.json").read_text())["scores"]
    (run,) = wandb_runs
    assert (run.name, run.group, run.job_type) == ("copy_first", "qdmn_table5", "val")
    assert run.settings["memory"]["every"] is None
    assert run.metrics["val/J&F"] == scores["J&F"]
    assert run.metrics["val/speed/fps"] > 0
    assert "val/quality/spearman" not in run.metrics  # the floor predicts none


def test_floors_need_no_weights(memvos, tiny, home):
    code, _, _ = memvos("evaluate", *tiny, "model=copy_first", "memory=first", "output_dir=e")
    assert code == 0
    assert json.loads((home / "e" / "result.json").read_text())["scores"]["J"] > 0.05


@pytest.mark.parametrize(
    ("recorded", "seen"),
    [
        ({}, ["a", "b"]),
        ({"without": ["b"]}, ["a"]),
        ({"videos": "b"}, ["b"]),
        ({"videos": ["a", "c"], "without": "a"}, []),
        ({"root": "elsewhere"}, []),
        ({"folder": "train"}, []),  # and evaluated on that of another split
    ],
)
def test_videos_of_a_folder_that_were_trained_on_are_known_by_the_record(home, recorded, seen):
    scored = {"_target_": "memvos.data.trees.FolderTree", "root": "videos", "images": "JPEGImages"}
    train = {**scored, "root": str(home / "videos"), "videos": None, "without": None, **recorded}
    settings = {"weights": "a/checkpoints/final.ckpt", "split": "test", "data": {"test": scored}}
    assert videos_in_training(settings, ["a", "b"]) == []  # there is no record
    (home / "a").mkdir()
    provenance.write(home / "a", {"config": {"data": {"train": train}}})
    assert videos_in_training(settings, ["a", "b"]) == seen


def test_a_score_on_videos_that_were_trained_on_is_noted(memvos, tiny, davis_root, home):
    folder = ("scale=smoke", "data=folder", f"data.root={davis_root}")
    layout = ("data.images=JPEGImages/480p", "data.masks=Annotations/480p")
    memvos("train", *tiny, *QUICK, *folder, *layout, "output_dir=a")
    line = ("evaluate", *tiny, *QUICK, *folder, *layout, "weights=a/checkpoints/final.ckpt", "output_dir=e")
    code, _, error = memvos(*line)
    assert code == 0, error
    assert "note: 3 of 3 videos were trained on (first: 'bird'), whose scores say little" in error


def test_what_is_not_scored_is_told_with_the_protocols_rule(memvos, davis_root, home):
    for path in (davis_root / "Annotations").rglob("*.png"):
        if path.stem not in ("00000", "00005"):
            path.unlink()
    line = ("evaluate", "scale=smoke", "data=davis2017", f"data.root={davis_root}", "data.test.official=null")
    code, output, error = memvos(*line, "model=copy_first", "memory=first", "output_dir=e")
    assert code == 0, error
    assert "not scored: no masks after the first on frames that count; by DAVIS' protocol the first and the" in output
    assert "(2 objects in 1 videos, " in output


def test_the_oracle_gate_is_refused_where_no_mask_follows_the_first(memvos, davis_root, home):
    for path in (davis_root / "Annotations").rglob("*.png"):
        if path.stem != "00000":
            path.unlink()
    data = ("scale=smoke", "data=davis2017", f"data.root={davis_root}", "data.test.official=null")
    floor = ("model=copy_first", "memory=qdmn", "output_dir=e")
    code, _, error = memvos("evaluate", *data, *floor, "gate=oracle")
    assert code == 2
    assert "gate=oracle needs true masks, and data davis/val has none after those that are given" in error
    assert memvos("evaluate", *data, *floor)[0] == 0


def test_untrained_networks_must_be_asked_for_but_for_those_that_need_no_training(memvos, tiny):
    code, _, error = memvos("evaluate", *tiny, "model=qdmn_small", "memory=first", "output_dir=e")
    assert code == 2
    assert "untrained=true" in error
    assert memvos("evaluate", *tiny, "model=matching_small", "memory=first", "output_dir=e")[0] == 0


def test_a_detector_of_proposals_is_not_evaluated_by_itself(memvos, tiny):
    code, _, error = memvos("evaluate", *tiny, "experiment=proposals", "untrained=true", "output_dir=e")
    assert (code, error.count("\n")) == (2, 1)
    assert "Detector segments no videos; choose a network" in error


def test_qam_is_trained_on_a_network_as_a_plugin_and_borrowed_by_another(memvos, tiny, home):
    plugin = ("model=qam_plugin_small", "model@model.network=stcn_small")
    assert memvos("train", *tiny, UNSEEN, *plugin, "output_dir=p")[0] == 0
    weights = torch.load(home / "p" / "checkpoints" / "final.ckpt", weights_only=True)["state_dict"]
    assert {name.split(".")[1] for name in weights} == {"network", "quality"}
    assert memvos("evaluate", *tiny, *plugin, "weights=p/checkpoints/final.ckpt", "output_dir=e")[0] == 0
    assert json.loads((home / "e" / "result.json").read_text())["quality"]["mean"] is not None

    for model in ("stm_small", "qdmn_small"):
        assert memvos("train", *tiny, UNSEEN, f"model={model}", f"output_dir={model}")[0] == 0
    borrowed = ("model=qam_borrowed", "model@model.network=kmn_small", "model.source=qdmn_small/checkpoints/final.ckpt")
    stm = "weights=stm_small/checkpoints/final.ckpt"
    code, _, error = memvos("evaluate", *tiny, *borrowed, stm, "output_dir=b")
    assert code == 0, error
    assert json.loads((home / "b" / "result.json").read_text())["provenance"]["weights"]["missing"] == 0


def test_a_plugin_is_not_evaluated_with_an_untrained_qam(memvos, tiny, home):
    assert memvos("train", *tiny, UNSEEN, "model=stm_small", "output_dir=a")[0] == 0
    start = ("model=qam_plugin_small", "weights=a/checkpoints/final.ckpt")
    code, _, error = memvos("evaluate", *tiny, *start, "output_dir=e")
    assert code == 2
    assert "holds nothing trained for quality (" in error
    assert "memvos train weights=a/checkpoints/final.ckpt" in error
    assert memvos("evaluate", *tiny, *start, "untrained=true", "output_dir=e")[0] == 0
    assert memvos("train", *tiny, UNSEEN, *start, "output_dir=b")[0] == 0  # which a training may start from
