import os
import signal
from collections import Counter
from copy import deepcopy

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging

from memvos.errors import InputError
from memvos.lit import ChannelsLast, Checkpoints, make_trainer, split_batch
from memvos.lit import fit as fit_as_split


class PressCtrlC(Callback):
    """Send this process Ctrl-C in the middle of a step, once or more often."""

    def __init__(self, step, times=1):
        self.step, self.times = step, times

    def on_before_backward(self, trainer, pl_module, loss):
        while trainer.global_step == self.step and self.times:
            self.times -= 1
            os.kill(os.getpid(), signal.SIGINT)


def fit(trainer, module, datamodule, batch, largest=None, resume=None):
    """As the command does it: split the batch, then train."""
    split = split_batch(batch, trainer.world_size, largest)
    trainer.accumulate_grad_batches, datamodule.batch_size = split.accumulate, split.per_device
    fit_as_split(trainer, module, datamodule, resume)
    return split


def trainer_of(folder, *callbacks, steps=4, every_steps=None, **options):
    return make_trainer(
        "32-true",
        **{"accelerator": "cpu", **options},
        max_steps=steps,
        max_epochs=-1,
        callbacks=[ChannelsLast(), Checkpoints(folder, every_steps=every_steps), *callbacks],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        log_every_n_steps=1,
    )


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def fresh(module_of, tiny):
    """Make the same untrained module again and again."""
    return lambda: module_of(deepcopy(tiny))


@pytest.mark.parametrize(("batch", "largest"), [(2, None), (4, 2)])
@pytest.mark.parametrize("averaged", [False, True])
def test_an_interrupted_training_ends_with_the_weights_of_one_that_was_not(
    fresh, clips, tmp_path, batch, largest, averaged
):
    def extra():
        return [EMAWeightAveraging(decay=0.5)] if averaged else []

    whole = fresh()
    fit(trainer_of(tmp_path / "whole", *extra()), whole, clips(), batch, largest)
    stopped, data = fresh(), clips()
    with pytest.raises(KeyboardInterrupt, match=r"Step 2 of 4 is written to .*last\.ckpt; the same command goes on"):
        fit(trainer_of(tmp_path / "parts", PressCtrlC(1), *extra()), stopped, data, batch, largest)
    assert [number for number, _ in data.dataset.seen] == list(range(2 * batch))
    resumed, data = fresh(), clips()
    fit(
        trainer_of(tmp_path / "parts", *extra()), resumed, data, batch, largest, resume=tmp_path / "parts" / "last.ckpt"
    )
    assert [number for number, _ in data.dataset.seen] == list(range(2 * batch, 4 * batch))
    assert same(weights(resumed), weights(whole))
    assert not same(weights(stopped), weights(whole))
    finals = [torch.load(tmp_path / part / "final.ckpt", weights_only=True) for part in ("whole", "parts")]
    assert same(finals[0]["state_dict"], finals[1]["state_dict"])


def test_loading_processes_do_not_change_what_a_resumed_training_sees(fresh, clips, tmp_path):
    whole = fresh()
    fit(trainer_of(tmp_path / "whole"), whole, clips(), 2)
    with pytest.raises(KeyboardInterrupt):
        fit(trainer_of(tmp_path / "parts", PressCtrlC(1)), fresh(), clips(workers=2), 2)
    resumed = fresh()
    fit(trainer_of(tmp_path / "parts"), resumed, clips(workers=2), 2, resume=tmp_path / "parts" / "last.ckpt")
    assert same(weights(resumed), weights(whole))


def test_progress_is_planned_from_the_steps(fresh, clips, tmp_path):
    data = clips()
    fit(trainer_of(tmp_path), fresh(), data, batch=4, largest=2)
    assert Counter(progress for _, progress in data.dataset.seen) == {k / 8: 2 for k in range(8)}


def test_accumulated_gradients_are_those_of_the_whole_batch(fresh, clips, tmp_path):
    whole, pieces = fresh(), fresh()
    assert fit(trainer_of(tmp_path / "a", steps=1), whole, clips(), batch=4).accumulate == 1
    assert fit(trainer_of(tmp_path / "b", steps=1), pieces, clips(), batch=4, largest=1).accumulate == 4
    for one, other in zip(weights(whole).values(), weights(pieces).values(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_checkpoints_load_without_pickled_code_and_hold_plain_facts(fresh, clips, tmp_path):
    module = fresh()
    module.remember(model={"_target_": "memvos.model.qdmn.QDMN"}, seed=0)
    fit(trainer_of(tmp_path, every_steps=2), module, clips(), 2)
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    final = torch.load(tmp_path / "final.ckpt", weights_only=True)
    assert last["global_step"] == final["global_step"] == 4
    assert final["hyper_parameters"] == {"model": {"_target_": "memvos.model.qdmn.QDMN"}, "seed": 0}
    assert "optimizer_states" not in final
    assert all(name.startswith("model.") for name in final["state_dict"])


def test_a_second_ctrl_c_stops_at_once(fresh, clips, tmp_path):
    with pytest.raises(KeyboardInterrupt, match="Stopped at once; the same command goes on from the last checkpoint"):
        fit(trainer_of(tmp_path, PressCtrlC(1, times=2)), fresh(), clips(), 2)
    assert not (tmp_path / "last.ckpt").exists()


def test_ctrl_c_belongs_to_its_former_owner_again_after_training(fresh, clips, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    fit(trainer_of(tmp_path, steps=1), fresh(), clips(), 2)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_missing_checkpoint_is_refused(fresh, clips, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*nothing\.ckpt to resume from; leave resume out"):
        fit(trainer_of(tmp_path), fresh(), clips(), 2, resume=tmp_path / "nothing.ckpt")


def test_a_training_without_end_is_refused(fresh, clips, tmp_path):
    with pytest.raises(InputError, match="max_steps of at least 1, got -1"):
        fit(trainer_of(tmp_path, steps=-1), fresh(), clips(), 2)


def test_automatic_precision_is_one_of_two(tmp_path):
    trainer = make_trainer("auto", "cpu", logger=False, default_root_dir=tmp_path)
    assert isinstance(trainer, pl.Trainer)
    assert trainer.precision in ("bf16-mixed", "32-true")


def test_two_ranks_train_as_one_process_does(fresh, clips, tmp_path):
    ranks = trainer_of(tmp_path / "ranks", accelerator="cpu", devices=2, strategy="ddp_fork")
    assert fit(ranks, fresh(), clips(), batch=4).per_device == 2
    whole = fresh()
    fit(trainer_of(tmp_path / "whole"), whole, clips(), batch=4)
    final = torch.load(tmp_path / "ranks" / "final.ckpt", weights_only=True)
    assert final["global_step"] == 4
    for name, tensor in weights(whole).items():
        assert torch.allclose(final["state_dict"][name], tensor, atol=1e-4), name
