from collections import Counter

import pytest
import pytorch_lightning as pl
import torch

from memvos.errors import InputError
from memvos.lit import make_trainer


def test_progress_is_planned_from_the_steps(fresh, clips, tmp_path, fit, trainer_of):
    data = clips()
    fit(trainer_of(tmp_path), fresh(), data, batch=4, largest=2)
    assert Counter(progress for _, progress in data.dataset.seen) == {k / 8: 2 for k in range(8)}


def test_accumulated_gradients_are_those_of_the_whole_batch(fresh, clips, tmp_path, fit, trainer_of):
    whole, pieces = fresh(), fresh()
    assert fit(trainer_of(tmp_path / "a", steps=1), whole, clips(), batch=4).accumulate == 1
    assert fit(trainer_of(tmp_path / "b", steps=1), pieces, clips(), batch=4, largest=1).accumulate == 4
    for one, other in zip(whole.state_dict().values(), pieces.state_dict().values(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_a_missing_checkpoint_is_refused(fresh, clips, tmp_path, fit, trainer_of):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*nothing\.ckpt to resume from; leave resume out"):
        fit(trainer_of(tmp_path), fresh(), clips(), 2, resume=tmp_path / "nothing.ckpt")


@pytest.mark.parametrize("content", [b"", b"hello", {"state_dict": {}}])
def test_a_checkpoint_that_no_training_can_go_on_from_is_refused(fresh, clips, tmp_path, fit, trainer_of, content):
    path = tmp_path / "last.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(
        InputError, match=r"last\.ckpt is damaged, or no checkpoint .*; delete it, or give resume=false"
    ):
        fit(trainer_of(tmp_path), fresh(), clips(), 2, resume=path)


def test_half_a_step_is_refused(fresh, clips, tmp_path, fit, trainer_of):
    with pytest.raises(InputError, match=r"max_steps as a whole number from 1, got 1\.5"):
        fit(trainer_of(tmp_path, steps=1.5), fresh(), clips(), 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_trainer_on_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"trainer: .*; choose another trainer="):
        make_trainer("32-true", "gpu", logger=False, default_root_dir=tmp_path)


def test_a_training_without_end_is_refused(fresh, clips, tmp_path, fit, trainer_of):
    with pytest.raises(InputError, match="max_steps as a whole number from 1, got -1"):
        fit(trainer_of(tmp_path, steps=-1), fresh(), clips(), 2)


def test_automatic_precision_is_one_of_two(tmp_path):
    trainer = make_trainer("auto", "cpu", logger=False, default_root_dir=tmp_path)
    assert isinstance(trainer, pl.Trainer)
    assert trainer.precision in ("bf16-mixed", "32-true")


def test_two_ranks_train_as_one_process_does(fresh, clips, tmp_path, fit, trainer_of):
    ranks = trainer_of(tmp_path / "ranks", accelerator="cpu", devices=2, strategy="ddp_fork")
    assert fit(ranks, fresh(), clips(), batch=4).per_device == 2
    whole = fresh()
    fit(trainer_of(tmp_path / "whole"), whole, clips(), batch=4)
    final = torch.load(tmp_path / "ranks" / "final.ckpt", weights_only=True)
    assert final["global_step"] == 4
    for name, tensor in whole.state_dict().items():
        assert torch.allclose(final["state_dict"][name], tensor, atol=1e-4), name
