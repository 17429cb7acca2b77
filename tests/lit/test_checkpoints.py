"""What is written down of a training, when it is stopped and when it ends; going on gives the same weights."""

import os
import signal
from contextlib import nullcontext as does_not_raise

import pytest
import torch
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging


class PressCtrlC(Callback):
    """Send this process Ctrl-C in the middle of a step, once or more often."""

    def __init__(self, step, times=1):
        self.step, self.times = step, times

    def on_before_backward(self, trainer, pl_module, loss):
        while trainer.global_step == self.step and self.times:
            self.times -= 1
            os.kill(os.getpid(), signal.SIGINT)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("batch", "largest"), [(2, None), (4, 2)])
@pytest.mark.parametrize("averaged", [False, True])
def test_an_interrupted_training_ends_with_the_weights_of_one_that_was_not(
    fresh, clips, tmp_path, batch, largest, averaged, fit, trainer_of
):
    def extra():
        return [EMAWeightAveraging(decay=0.5)] if averaged else []

    whole = fresh()
    fit(trainer_of(tmp_path / "whole", *extra()), whole, clips(), batch, largest)
    stopped, data = fresh(), clips()
    with pytest.raises(KeyboardInterrupt, match=r"Step 2 of 4 is written to .*last\.ckpt\."):
        fit(trainer_of(tmp_path / "parts", PressCtrlC(1), *extra()), stopped, data, batch, largest)
    assert [number for number, _ in data.dataset.seen] == list(range(2 * batch))
    resumed, data = fresh(), clips()
    fit(
        trainer_of(tmp_path / "parts", *extra()), resumed, data, batch, largest, resume=tmp_path / "parts" / "last.ckpt"
    )
    assert [number for number, _ in data.dataset.seen] == list(range(2 * batch, 4 * batch))
    assert same(resumed.state_dict(), whole.state_dict())
    assert not same(stopped.state_dict(), whole.state_dict())
    finals = [torch.load(tmp_path / part / "final.ckpt", weights_only=True) for part in ("whole", "parts")]
    assert same(finals[0]["state_dict"], finals[1]["state_dict"])


def test_loading_processes_do_not_change_what_a_resumed_training_sees(fresh, clips, tmp_path, fit, trainer_of):
    whole = fresh()
    fit(trainer_of(tmp_path / "whole"), whole, clips(), 2)
    with pytest.raises(KeyboardInterrupt):
        fit(trainer_of(tmp_path / "parts", PressCtrlC(1)), fresh(), clips(workers=2), 2)
    resumed = fresh()
    fit(trainer_of(tmp_path / "parts"), resumed, clips(workers=2), 2, resume=tmp_path / "parts" / "last.ckpt")
    assert same(resumed.state_dict(), whole.state_dict())


def noisy(module):
    """What it segments is random."""
    segment = module.model.segment
    module.model.segment = lambda *frame: segment(*frame) * torch.rand(1)
    return module


def test_a_network_that_draws_random_numbers_draws_them_again(fresh, clips, tmp_path, fit, trainer_of):
    torch.manual_seed(0)
    whole = noisy(fresh())
    fit(trainer_of(tmp_path / "whole"), whole, clips(), 2)
    torch.manual_seed(0)
    with pytest.raises(KeyboardInterrupt):
        fit(trainer_of(tmp_path / "parts", PressCtrlC(1)), noisy(fresh()), clips(), 2)
    torch.manual_seed(0)
    resumed = noisy(fresh())
    fit(trainer_of(tmp_path / "parts"), resumed, clips(), 2, resume=tmp_path / "parts" / "last.ckpt")
    assert same(resumed.state_dict(), whole.state_dict())
    torch.manual_seed(1)
    other = noisy(fresh())
    fit(trainer_of(tmp_path / "other"), other, clips(), 2)
    assert not same(other.state_dict(), whole.state_dict())


def test_checkpoints_load_without_pickled_code_and_hold_plain_facts(fresh, clips, tmp_path, fit, trainer_of):
    module = fresh()
    module.remember(model={"_target_": "memvos.model.qdmn.QDMN"}, seed=0)
    fit(trainer_of(tmp_path, every_steps=2), module, clips(), 2)
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    final = torch.load(tmp_path / "final.ckpt", weights_only=True)
    assert last["global_step"] == final["global_step"] == 4
    assert final["hyper_parameters"] == {"model": {"_target_": "memvos.model.qdmn.QDMN"}, "seed": 0}
    assert "optimizer_states" not in final
    assert all(name.startswith("model.") for name in final["state_dict"])


def test_ctrl_c_in_the_last_step_lets_the_training_end(fresh, clips, tmp_path, fit, trainer_of):
    fit(trainer_of(tmp_path, PressCtrlC(3)), fresh(), clips(), 2)
    assert torch.load(tmp_path / "final.ckpt", weights_only=True)["global_step"] == 4


def test_a_training_that_goes_on_from_its_last_step_leaves_its_averaged_weights(
    fresh, clips, tmp_path, fit, trainer_of
):
    def trained(**options):
        average = EMAWeightAveraging(decay=0.5)
        fit(trainer_of(tmp_path, average, every_steps=4), fresh(), clips(), 2, **options)
        return torch.load(tmp_path / "final.ckpt", weights_only=True)

    whole = trained()
    (tmp_path / "final.ckpt").unlink()
    resumed = trained(resume=tmp_path / "last.ckpt")
    assert resumed["global_step"] == 4
    assert same(resumed["state_dict"], whole["state_dict"])


@pytest.mark.parametrize(("before", "after"), [(4, 2), (1, 4), (2, 1)])
def test_a_step_may_be_split_otherwise_when_the_training_goes_on(
    fresh, clips, tmp_path, fit, trainer_of, before, after
):
    whole = fresh()
    fit(trainer_of(tmp_path / "whole"), whole, clips(), 4)
    with pytest.raises(KeyboardInterrupt, match="Step 1 of 4"):
        fit(trainer_of(tmp_path, PressCtrlC(0)), fresh(), clips(), 4, before)
    resumed, data = fresh(), clips()
    fit(trainer_of(tmp_path), resumed, data, 4, after, resume=tmp_path / "last.ckpt")
    assert [number for number, _ in data.dataset.seen] == list(range(4, 16))
    assert [progress for _, progress in data.dataset.seen[::after]] == [
        k * after / 16 for k in range(4 // after, 16 // after)
    ]
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_nothing_is_written_between_the_batches_of_the_step_after_going_on(fresh, clips, tmp_path, fit, trainer_of):
    with pytest.raises(KeyboardInterrupt):
        fit(trainer_of(tmp_path, PressCtrlC(1)), fresh(), clips(), 4, 2)
    with pytest.raises(KeyboardInterrupt, match="Step 3 of 4"):
        fit(trainer_of(tmp_path, PressCtrlC(2)), fresh(), clips(), 4, 2, resume=tmp_path / "last.ckpt")


def test_a_second_ctrl_c_stops_at_once(fresh, clips, tmp_path, fit, trainer_of):
    with pytest.raises(KeyboardInterrupt, match=r"Stopped at once; last\.ckpt is as it was"):
        fit(trainer_of(tmp_path, PressCtrlC(1, times=2)), fresh(), clips(), 2)
    assert not (tmp_path / "last.ckpt").exists()


class GoWrong(Callback):
    """An error in the midst of a step."""

    def on_before_backward(self, trainer, pl_module, loss):
        raise RuntimeError("went wrong")


@pytest.mark.parametrize(
    ("disturbance", "end"),
    [
        ([], does_not_raise()),
        ([PressCtrlC(1)], pytest.raises(KeyboardInterrupt, match="is written to")),
        ([PressCtrlC(1, times=2)], pytest.raises(KeyboardInterrupt, match="Stopped at once")),
        ([GoWrong()], pytest.raises(RuntimeError, match="went wrong")),
    ],
)
def test_ctrl_c_belongs_to_its_former_owner_again_however_a_training_ends(
    fresh, clips, tmp_path, fit, trainer_of, disturbance, end
):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with end:
        fit(trainer_of(tmp_path, *disturbance), fresh(), clips(), 2)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
