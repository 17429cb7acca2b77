"""Fingerprints: what makes another result, and what does not."""

import copy
import json

import pytest

from memvos.app import composition, provenance
from memvos.paths import shipped_weights


@pytest.fixture(scope="module")
def training():
    return composition.resolved(composition.compose("train", ["scale=smoke", "output_dir=x"]))


@pytest.fixture(scope="module")
def evaluation():
    return composition.resolved(composition.compose("evaluate", ["scale=smoke", "output_dir=x"]))


def changed(config: dict, path: str, value) -> dict:
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    node = config
    for name in parents:
        node = node[name]
    node[last] = value
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [("seed", 1), ("trainer.max_steps", 5), ("model.key_channels", 16), ("lit.quality_weight", 2.0), ("batch_size", 6),
     ("data.main.size", 80)],
)  # fmt: skip
def test_what_changes_the_weights_changes_the_fingerprint_of_a_training(training, path, value):
    assert provenance.of_training(changed(training, path, value), "d") != provenance.of_training(training, "d")


@pytest.mark.parametrize(
    ("path", "value"),
    [("output_dir", "y"), ("jobs", 3), ("logger", {}), ("data.main.num_workers", 4), ("data.main.val.clips", 99),
     ("data.test.clips", 99), ("trainer.log_every_n_steps", 7), ("callbacks.validation.every_steps", 9), ("row", "r")],
)  # fmt: skip
def test_what_does_not_change_the_weights_leaves_the_fingerprint_of_a_training(training, path, value):
    assert provenance.of_training(changed(training, path, value), "d") == provenance.of_training(training, "d")


def test_data_and_starting_weights_are_part_of_a_fingerprint(training):
    assert provenance.of_training(training, "d") != provenance.of_training(training, "e")
    assert provenance.of_training(training, "d", "w") != provenance.of_training(training, "d")


@pytest.mark.parametrize(("path", "value"), [("memory.sigma", 0.1), ("gate", "oracle"), ("corruption_rate", 0.5)])
def test_what_changes_the_scores_changes_the_fingerprint_of_an_evaluation(evaluation, path, value):
    assert provenance.of_evaluation(changed(evaluation, path, value), "d") != provenance.of_evaluation(evaluation, "d")


@pytest.mark.parametrize(("path", "value"), [("trainer.max_steps", 5), ("seed", 4), ("workers", 2)])
def test_an_evaluation_does_not_care_how_it_is_run(evaluation, path, value):
    assert provenance.of_evaluation(changed(evaluation, path, value), "d") == provenance.of_evaluation(evaluation, "d")


def test_the_seed_of_the_corruption_counts(evaluation):
    polluted = changed(evaluation, "corruption_rate", 0.1)
    assert provenance.of_evaluation(changed(polluted, "seed", 4), "d") != provenance.of_evaluation(polluted, "d")


@pytest.fixture(scope="module")
def segmentation():
    return composition.resolved(composition.compose("segment", ["model=matching_small", "output_dir=x"]))


@pytest.mark.parametrize(
    ("path", "value"),
    [("memory.sigma", 0.1), ("top_k", 7), ("short_side", 80), ("ignore", [255]), ("precision", "bf16"),
     ("model.radius", 0.3)],
)  # fmt: skip
def test_what_changes_masks_changes_the_fingerprint_of_a_segmentation(segmentation, path, value):
    other = changed(segmentation, path, value)
    assert provenance.of_segmentation(other) != provenance.of_segmentation(segmentation)


@pytest.mark.parametrize(("path", "value"), [("overlay", True), ("threads", 1), ("output_dir", "y"), ("jobs", 2)])
def test_a_segmentation_does_not_care_how_it_is_run(segmentation, path, value):
    other = changed(segmentation, path, value)
    assert provenance.of_segmentation(other) == provenance.of_segmentation(segmentation)


@pytest.mark.parametrize(
    "more",
    [{"start": "w"}, {"chosen": ["radius"]}, {"modules": ["memvos.model.stcn"]}],
    ids=lambda more: next(iter(more)),
)
def test_weights_and_what_is_chosen_are_part_of_the_fingerprint_of_a_segmentation(segmentation, more):
    assert provenance.of_segmentation(segmentation, **more) != provenance.of_segmentation(segmentation)


def test_provenance_names_everything_and_is_plain_json(training, tmp_path):
    record = provenance.collect(training, "mark", "data", "cpu", "bf16", {"path": "w.ckpt", "matched": 3, "missing": 0})
    provenance.write(tmp_path, record)
    again = provenance.read(tmp_path)
    assert again == json.loads(json.dumps(record))
    assert again["fingerprint"] == "mark"
    assert {"config", "seed", "git", "packages", "device", "precision", "data", "weights", "created"} <= set(again)
    assert {"python", "torch", "memvos"} <= set(again["packages"])


def test_weights_of_a_finished_run_are_known_by_its_fingerprint_and_others_by_their_hash(tmp_path):
    weights = tmp_path / "run" / "checkpoints" / "final.ckpt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-2
    assert provenance.weights_identity(weights) == sha256
    provenance.write(tmp_path / "run", {"fingerprint": "mark"})
    assert provenance.weights_identity(weights) == sha256
    provenance.write(tmp_path / "run", {"fingerprint": "mark", "finished": "now"})
    assert provenance.weights_identity(weights) == "mark"
    assert provenance.weights_identity(weights.replace(weights.with_name("last.ckpt"))) == sha256


@pytest.mark.parametrize("left", [b'{"fingerprint": ', b"", b"\xff\xfe", b"[1]", b"null"])
def test_a_damaged_record_is_no_record(tmp_path, left):
    (tmp_path / provenance.FILE).write_bytes(left)
    assert provenance.read(tmp_path) == {}


def test_the_difference_of_two_runs_names_the_settings(training):
    other = changed(training, "model.key_channels", 16)
    assert provenance.difference({"config": training}, {"config": other}) == "model.key_channels: 32 there, 16 here"


def test_a_network_that_is_borrowed_from_is_known_by_what_it_is(evaluation, tmp_path):
    marks = {}
    for place, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / place).write_bytes(content)
        marks[place] = provenance.of_evaluation(changed(evaluation, "model.source", str(tmp_path / place)), "d")
    assert marks["a"] == marks["b"] != marks["c"]
    planned = changed(evaluation, "model.source", provenance.weights_identity(tmp_path / "a"))
    assert provenance.of_evaluation(planned, "d") == marks["a"]  # as a table's plan names it before it is trained


@pytest.mark.parametrize("key", ["model.backbone.weights", "lit.model.backbone.weights", "model.proposals.results"])
def test_a_training_knows_every_file_of_its_network_by_its_content(training, tmp_path, key):
    marks = {}
    training = changed(training, "model.proposals", {})
    for place, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / place).write_bytes(content)
        marks[place] = provenance.of_training(changed(training, key, str(tmp_path / place)), "d")
    assert marks["a"] == marks["b"] != marks["c"]


def test_weights_that_are_shipped_are_known_by_their_content():
    shipped = provenance.file_digest(shipped_weights("small"))
    assert provenance.by_content({"weights": "small", "depth": 18}) == {"weights": shipped, "depth": 18}


def test_the_code_that_makes_masks_in_training_is_part_of_its_fingerprint_and_the_reports_is_not(training, monkeypatch):
    seen = []
    monkeypatch.setattr(provenance.source, "code_hash", lambda modules, files: seen.extend(modules) or "code")
    provenance.of_training(training, "d")
    assert {"memvos.decode.aggregate", "memvos.decode.masks", "memvos.lit.unroll"} <= set(seen)
    assert not {"app", "report"} & {module.split(".")[1] for module in seen}


def test_a_detector_and_kept_proposals_are_known_by_what_they_are(evaluation, tmp_path):
    def mark(**source):
        return provenance.of_evaluation({**evaluation, "model": {**evaluation["model"], "proposals": source}}, "d")

    (tmp_path / "a.ckpt").write_bytes(b"one")
    (tmp_path / "b.ckpt").write_bytes(b"one")
    assert mark(checkpoint=str(tmp_path / "a.ckpt")) == mark(checkpoint=str(tmp_path / "b.ckpt"))
    (tmp_path / "results.json").write_text("[1]")
    results = mark(results=str(tmp_path / "results.json"))
    (tmp_path / "results.json").write_text("[2]")
    assert mark(results=str(tmp_path / "results.json")) != results
    provenance.write(tmp_path / "kept", {"fingerprint": "first"})
    first = mark(folder=str(tmp_path / "kept"))
    provenance.write(tmp_path / "kept", {"fingerprint": "second"})
    assert mark(folder=str(tmp_path / "kept")) != first


def test_the_data_of_a_training_is_known_by_its_weights(tmp_path):
    provenance.write(tmp_path, {"config": {"data": {"name": "paper"}}})
    assert provenance.trained_on(tmp_path / "checkpoints" / "final.ckpt") == "paper"
    assert provenance.trained_on(tmp_path / "elsewhere.pth") is None


def test_a_file_that_changed_has_another_digest(tmp_path):
    (tmp_path / "w").write_bytes(b"one")
    before = provenance.file_digest(tmp_path / "w")
    (tmp_path / "w").write_bytes(b"three")
    assert provenance.file_digest(tmp_path / "w") != before
