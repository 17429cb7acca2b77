"""What train and evaluate share: folders, the data in use, weights to start from."""

import pytest
import torch
from torch import nn

from memvos.app.provenance import file_digest
from memvos.app.runs import (
    check_numbers,
    data_of,
    describe,
    instantiate,
    is_first_rank,
    start_from,
    writable_folder,
)
from memvos.errors import InputError
from memvos.model.checkpoints import save_model
from memvos.model.floors import CopyFirst

DATA = {"name": "mine", "root": "/x", "main": {"_target_": "a.ClipDataModule"}, "val": {"_target_": "b"}}


def test_what_is_built_gets_plain_containers():
    given = {"_target_": "builtins.dict", "sizes": [1, {"a": 2}]}
    assert type(instantiate(given)["sizes"]) is list
    assert type(instantiate(given)["sizes"][1]) is dict


def test_a_folder_is_made_and_left_empty(tmp_path):
    assert list(writable_folder(tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("path", ["file", "file/run"])
def test_a_file_in_the_way_is_told(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="a file is in the way; choose another output_dir=FOLDER"):
        writable_folder(tmp_path / path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    with pytest.raises(PermissionError, match=r"cannot write to .*run: Permission denied; choose another output_dir"):
        writable_folder(tmp_path / "run")


def test_the_data_in_use_is_that_of_the_stage_or_split():
    assert data_of({"data": DATA, "stage": "main"}, "stage") == {"_target_": "a.ClipDataModule"}
    assert data_of({"data": DATA, "split": "val"}, "split") == {"_target_": "b"}


def test_a_stage_is_no_split():
    with pytest.raises(InputError, match="data mine has no split 'main'; expected one of val"):
        data_of({"data": DATA, "split": "main"}, "split")


@pytest.mark.parametrize("name", ["pretrain", "root", "name", "val"])
def test_a_stage_the_data_has_not_is_answered_with_those_it_has(name):
    with pytest.raises(InputError, match=f"data mine has no stage '{name}'; expected one of main$"):
        data_of({"data": DATA, "stage": name}, "stage")


@pytest.mark.parametrize(("node", "local", "first"), [("0", "0", True), ("0", "1", False), ("1", "0", False)])
def test_files_are_written_by_the_first_rank_of_the_first_node(monkeypatch, node, local, first):
    monkeypatch.setenv("NODE_RANK", node)
    monkeypatch.setenv("LOCAL_RANK", local)
    assert is_first_rank() == first


def starting_from(path):
    return {"weights": path and str(path), "model": {}}


def test_without_a_file_nothing_is_loaded():
    assert start_from(CopyFirst(), starting_from(None)) is None


class Network(CopyFirst):
    """A network with two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)


def test_what_was_loaded_is_counted(tmp_path):
    model, trained = Network(), Network()
    save_model(trained, tmp_path / "w.ckpt", {})
    found = start_from(model, starting_from(tmp_path / "w.ckpt"))
    assert found == {
        "path": str(tmp_path / "w.ckpt"),
        "sha256": file_digest(tmp_path / "w.ckpt"),
        "trained_on": None,
        "matched": 2,
        "missing": 0,
        "left_out": 0,
    }
    assert torch.equal(model.layer.weight, trained.layer.weight)


class Wider(Network):
    """With a part that `Network` lacks."""

    def __init__(self) -> None:
        super().__init__()
        self.prior = nn.Linear(1, 1)


def test_parts_that_are_left_out_are_told(tmp_path, capsys):
    model, trained = Network(), Wider()
    model.prior = nn.Identity()
    save_model(trained, tmp_path / "w.ckpt", {})
    assert start_from(model, starting_from(tmp_path / "w.ckpt"))["left_out"] == 2
    assert "w.ckpt: parts that this network lacks are left out: prior" in capsys.readouterr().err


NUMBERS = {
    "seed": 0,
    "threads": 1,
    "batch_size": 4,
    "steps": {"pretrain": 2, "main": 2},
    "batch": {"main": 4},
    "learning_rate": {"main": 0},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": {"pretrain": "abc"}}, "expected steps.pretrain as a whole number from 1, got 'abc'"),
        ({"steps": {"main": 0}}, "steps.main as a whole number from 1, got 0"),
        ({"batch": {"main": 2.5}}, "batch.main as a whole number from 1, got 2.5"),
        ({"batch_size": "abc"}, "batch_size as a whole number from 1, got 'abc'"),
        ({"learning_rate": {"main": "fast"}}, "learning_rate.main as a number from 0, got 'fast'"),
        ({"learning_rate": {"main": -1e-4}}, "learning_rate.main as a number from 0, got -0.0001"),
        ({"seed": -1}, "seed as a whole number from 0, got -1"),
        ({"seed": "abc"}, "seed as a whole number from 0, got 'abc'"),
        ({"threads": 0}, "threads as a whole number from 1, got 0"),
        ({"resume": "maybe"}, "resume=true or resume=false, got 'maybe'"),
        ({"write_masks": 1}, "write_masks=true or write_masks=false, got 1"),
    ],
)
def test_numbers_and_switches_that_are_none_are_refused(change, message):
    check_numbers({**NUMBERS, "resume": True})
    with pytest.raises(InputError, match=message):
        check_numbers({**NUMBERS, **change})


def test_a_result_says_what_it_is_of():
    config = {"row": "qam", "seed": 1, "split": "val", "scale": "mini", "data": {"name": "davis2016", "val": {}}}
    assert describe(config) == {
        "row": "qam",
        "seed": 1,
        "split": "val",
        "scale": "mini",
        "data": "davis2016",
        "difficulty": None,
    }


def test_the_difficulty_is_that_of_the_videos_that_were_scored():
    data = {"name": "other", "difficulty": "easy", "val": {}, "test": {"difficulty": "hard"}}
    config = {"row": "qam", "seed": 1, "scale": "mini", "data": data}
    found = {split: describe({**config, "split": split})["difficulty"] for split in ("val", "test")}
    assert found == {"val": None, "test": "hard"}
