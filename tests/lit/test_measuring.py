"""When something is measured during training, and what is kept of it (weights: test_validation, test_proposals)."""

from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import WeightAveraging

from memvos.lit.measuring import Measuring, evenly_picked


class Step(Measuring):
    """Measures the step."""

    def measured(self, trainer, pl_module):
        pl_module.eval()
        return {"step": float(trainer.global_step)}


def test_it_is_measured_every_so_often_and_at_the_end_and_told_once_a_step():
    logged, printed = [], []
    logger = SimpleNamespace(log_metrics=lambda values, step: logged.append((values, step)))
    bar = SimpleNamespace(print=printed.append)
    trainer = SimpleNamespace(max_steps=5, callbacks=[], loggers=[logger], progress_bar_callback=bar)
    module, measuring = torch.nn.Linear(1, 1), Step(every_steps=2, videos=None)
    for step in (1, 2, 2, 3, 4, 5):
        trainer.global_step = step
        measuring.on_train_batch_end(trainer, module, None, None, 0)
    assert logged == [({"val/step": 2.0}, 2), ({"val/step": 4.0}, 4), ({"val/step": 5.0}, 5)]
    assert printed[0] == "step 2: step 2.000 on validation videos"
    assert measuring.state_dict() == {"latest": {"step": 5.0}}
    assert module.training


class Failing(Measuring):
    """Cannot measure."""

    def measured(self, trainer, pl_module):
        pl_module.eval()
        raise RuntimeError("no video")


class Averaging(WeightAveraging):
    """Swaps a weight of 1 for an average of 5, and back."""

    def on_validation_epoch_start(self, trainer, pl_module):
        torch.nn.init.constant_(pl_module.weight, 5.0)

    def on_validation_epoch_end(self, trainer, pl_module):
        torch.nn.init.constant_(pl_module.weight, 1.0)


def test_where_measuring_fails_the_weights_and_the_mode_are_as_before():
    trainer = SimpleNamespace(max_steps=1, global_step=1, callbacks=[Averaging()])
    module = torch.nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match="no video"):
        Failing(every_steps=1, videos=None).on_train_batch_end(trainer, module, None, None, 0)
    assert module.weight.item() == 1
    assert module.training


def test_a_few_videos_are_picked_evenly():
    assert evenly_picked(list("abcdefghij"), 3) == ["a", "d", "g"]
    assert evenly_picked(list("ab"), 3) == ["a", "b"]
    assert evenly_picked(list("ab"), None) == ["a", "b"]
