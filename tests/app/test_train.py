"""`memvos train` on a tiny benchmark: what it leaves, going on, and what it refuses."""

import contextlib
import os
import re

import pytest
import torch

from memvos.app import provenance, train
from memvos.app.finished import is_trained
from memvos.errors import InputError

UNSEEN = "callbacks.validation=null"
QUICK = ("model/quality=none", "model/prior=none", UNSEEN)


def state(folder) -> dict:
    return torch.load(folder / "checkpoints" / "final.ckpt", weights_only=True)["state_dict"]


def test_training_leaves_weights_and_their_proof(memvos, tiny, home):
    code, _, error = memvos("train", *tiny, *QUICK, "output_dir=run")
    assert code == 0, error
    record = provenance.read(home / "run")
    assert record["steps"] == 2
    assert record["finished"]
    assert record["config"]["model"]["quality"]["_target_"].endswith("AcceptAll")
    assert {"train/loss", "train/iou"} <= set((home / "run" / "metrics.csv").read_text().split("\n")[0].split(","))
    assert (home / "run" / ".hydra" / "config.yaml").is_file()
    assert not os.environ.get(train.OUTPUT)


def test_a_finished_training_is_not_done_again(memvos, tiny, home):
    memvos("train", *tiny, *QUICK, "output_dir=run")
    before = (home / "run" / "checkpoints" / "final.ckpt").stat().st_mtime_ns
    code, output, _ = memvos("train", *tiny, *QUICK, "output_dir=run")
    assert code == 0
    assert "finished already" in output
    assert (home / "run" / "checkpoints" / "final.ckpt").stat().st_mtime_ns == before


def test_a_finished_training_whose_weights_are_gone_is_done_again(memvos, tiny, home):
    memvos("train", *tiny, *QUICK, "output_dir=run")
    final = home / "run" / "checkpoints" / "final.ckpt"
    final.unlink()
    code, output, _ = memvos("train", *tiny, *QUICK, "output_dir=run")
    assert code == 0
    assert "finished already" not in output
    assert final.is_file()


def test_the_folder_of_another_training_is_not_touched(memvos, tiny, home):
    memvos("train", *tiny, *QUICK, "output_dir=run")
    code, _, error = memvos("train", *tiny, *QUICK, "output_dir=run", "seed=5")
    assert code == 2
    assert "holds another training (" in error
    assert "seed: 0 there, 5 here" in error


def test_the_same_seed_gives_the_same_weights_and_a_stage_starts_from_the_last(memvos, tiny, home):
    for name in "ab":
        memvos("train", *tiny, *QUICK, f"output_dir={name}", "stage=pretrain")
    first, second = state(home / "a"), state(home / "b")
    assert all(torch.equal(first[key], second[key]) for key in first)
    start = "weights=a/checkpoints/final.ckpt"
    assert memvos("train", *tiny, *QUICK, start, "learning_rate.main=0", "output_dir=c")[0] == 0
    third = state(home / "c")
    assert all(torch.equal(first[key], third[key]) for key in first)  # nothing is learned at a rate of 0
    assert provenance.read(home / "c")["weights"]["missing"] == 0


def test_a_training_is_finished_before_its_loggers_end(memvos, tiny, home, monkeypatch):
    @contextlib.contextmanager
    def told(loggers, settings):
        yield
        raise KeyboardInterrupt  # while W&B waits for its server

    monkeypatch.setattr("memvos.lit.loggers.told", told)
    assert memvos("train", *tiny, *QUICK, "output_dir=run")[0] == 130
    record = provenance.read(home / "run")
    assert record["finished"]
    assert is_trained(home / "run", record["fingerprint"])


def test_an_interrupt_tells_the_command_that_goes_on(memvos, tiny, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt("Step 1 of 2 is written to a/last.ckpt.")

    monkeypatch.setattr("memvos.lit.training.fit", stopped)
    code, _, error = memvos("train", *tiny, *QUICK)
    assert code == 130
    assert re.search(
        r"Step 1 of 2 is written to a/last\.ckpt\. Go on with: memvos train .* output_dir=runs/train/[\d_-]+$",
        error.strip(),
    )


def test_weights_of_another_shape_are_told(memvos, tiny, home):
    memvos("train", *tiny, *QUICK, "output_dir=a")
    start = "weights=a/checkpoints/final.ckpt"
    code, _, error = memvos("train", *tiny, *QUICK, start, "model.key_channels=8", "output_dir=b")
    assert code == 2
    assert "a/checkpoints/final.ckpt" in error
    assert not (home / "b" / "checkpoints").exists()


def test_steps_that_are_no_number_are_told_by_their_key(memvos, tiny):
    code, _, error = memvos("train", *tiny, *QUICK, "steps.pretrain=abc", "stage=pretrain")
    assert code == 2
    assert "expected steps.pretrain as a whole number from 1, got 'abc'" in error


@pytest.fixture
def machine(monkeypatch):
    """Pretend to have a number of GPUs; returns the numbers of devices of the trainers that are asked for."""
    taken = []

    def trainer(**options):
        taken.append(options["devices"])
        raise InputError("no training here")

    def of(gpus: int) -> list:
        monkeypatch.setattr("memvos.lit.training.device_count", lambda accelerator: gpus)
        monkeypatch.setattr("memvos.lit.make_trainer", trainer, raising=False)
        return taken

    return of


@pytest.mark.parametrize(("gpus", "batch", "most"), [(8, 28, 7), (3, 28, 2), (6, 28, 4), (5, 16, 4)])
def test_all_devices_are_as_many_as_share_the_batch_evenly_and_a_note_says_so(memvos, tiny, machine, gpus, batch, most):
    taken = machine(gpus)
    _, _, error = memvos("train", *tiny, *QUICK, "trainer=ddp", f"batch.main={batch}")
    assert taken == [most]
    assert f"note: trainer.devices=auto takes {most} of {gpus} devices, the most that share a global batch" in error
    assert f"of {batch} evenly" in error
    assert error.count("note: ") == 1


@pytest.mark.parametrize(("gpus", "batch", "devices"), [(1, 28, "auto"), (8, 16, 8), (7, 28, 7)])
def test_devices_that_are_all_taken_need_no_note(memvos, tiny, machine, gpus, batch, devices):
    taken = machine(gpus)
    assert "note: " not in memvos("train", *tiny, *QUICK, "trainer=ddp", f"batch.main={batch}")[2]
    assert taken == [devices]


def test_a_number_of_devices_that_does_not_share_the_batch_evenly_is_refused(memvos, tiny):
    ranks = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=3")
    code, _, error = memvos("train", *tiny, *QUICK, *ranks, "batch.main=28")
    assert code == 2
    assert "a global batch of 28 cannot be divided evenly over 3 devices; use one of 1, 2, 4, 7, 14, 28" in error
