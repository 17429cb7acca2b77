from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging

from memvos.data.clip import Clip, ClipBatch
from memvos.lit import Checkpoints, ProposalModule, ProposalRecall
from memvos.model.backbone import ResNet
from memvos.model.detector import Detector


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return Detector(partial(ResNet, 18, width=8), width=16, hidden=16, proposals=20, most=8)


def module_of(detector) -> ProposalModule:
    return ProposalModule(
        detector, partial(torch.optim.Adam, lr=1e-3), partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)
    )


def trainer_with(*videos) -> SimpleNamespace:
    """At its last step."""
    return SimpleNamespace(
        global_step=6,
        max_steps=6,
        callbacks=[],
        loggers=[],
        progress_bar_callback=None,
        datamodule=SimpleNamespace(val_videos=videos),
    )


def test_every_frame_of_a_batch_is_an_image_to_learn_from(detector, monkeypatch):
    masks = torch.zeros(2, 3, 64, 64)
    masks[:, 0, 10:30, 10:30] = 1
    batch = ClipBatch.collate([Clip(torch.randn(2, 3, 64, 64), masks, torch.tensor([True, False, False]))] * 2)
    module = module_of(detector.train())
    seen = []
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    monkeypatch.setattr(module, "log_dict", lambda values, **_: seen.append(set(values)))
    loss = module.training_step(batch, 0)["loss"]
    loss.backward()
    assert loss.isfinite()
    assert "train/loss_mask" in seen[0]


def test_plain_facts_are_remembered_and_others_refused(detector):
    module = module_of(detector)
    module.remember(model={"width": 16})
    assert module.hparams["model"] == {"width": 16}
    with pytest.raises(TypeError, match="checkpoints hold plain values only"):
        module.remember(model=detector)
    assert module.configure_optimizers()["lr_scheduler"]["interval"] == "step"


class Square:
    """A video of one square."""

    name, annotated, object_ids = "square", (0, 1, 2, 3), (5,)

    def labels(self, time):
        labels = np.zeros((32, 48), np.uint8)
        labels[8:24, 8:24] = 5
        return labels

    def image(self, time):
        return np.zeros((32, 48, 3), np.uint8)


class Knows(torch.nn.Module):
    """Finds the square where it is, moved to the right by some pixels."""

    def __init__(self, off):
        super().__init__()
        self.off = torch.nn.Parameter(torch.tensor([off, 0.0] * 2))

    def forward(self, images):
        box = torch.tensor([[8.0, 8, 24, 24]]) + self.off
        return [{"boxes": box, "masks": torch.ones(1, 1, 28, 28), "scores": torch.ones(1)} for _ in images]


@pytest.mark.parametrize(("off", "recall"), [(0.0, (1, 1)), (4.0, (1, 0)), (12.0, (0, 0))])
def test_recall_is_the_share_of_objects_that_a_proposal_covers(off, recall):
    callback, module = ProposalRecall(), module_of(Knows(off)).train()
    callback.on_train_batch_end(trainer_with(Square()), module, None, None, 0)
    assert (callback.latest["recall@0.5"], callback.latest["recall@0.7"]) == recall
    assert module.model.training


def test_recall_of_averaged_weights_is_that_of_what_is_kept():
    module, average = module_of(Knows(0.0)), EMAWeightAveraging(decay=0.5)
    trainer = trainer_with(Square())
    average.setup(trainer, module, "fit")
    trainer.callbacks = [average]
    with torch.no_grad():
        module.model.off += 12
    callback = ProposalRecall()
    callback.on_train_batch_end(trainer, module, None, None, 0)
    assert callback.latest["recall@0.5"] == 1
    assert module.model.off[0].item() == 12


def test_a_stop_does_not_wait_for_the_recall_of_the_rest(tmp_path):
    trainer, callback = trainer_with(Square()), ProposalRecall()
    trainer.callbacks = [Checkpoints(tmp_path)]
    trainer.callbacks[0].stop.arrived = True
    callback.on_train_batch_end(trainer, module_of(Knows(0.0)), None, None, 0)
    assert callback.latest == {}


def test_recall_is_measured_when_it_is_time_and_at_the_end(monkeypatch):
    callback, calls = ProposalRecall(every_steps=4), []
    monkeypatch.setattr(callback, "measured", lambda *_: calls.append(1) or {"recall@0.5": 0.5})
    trainer = trainer_with()
    for step in (1, 4, 4, 5, 6):
        trainer.global_step = step
        callback.on_train_batch_end(trainer, module_of(Knows(0.0)), None, None, 0)
    assert len(calls) == 2
    assert callback.latest == {"recall@0.5": 0.5}


def test_videos_without_objects_have_no_recall():
    callback = ProposalRecall()
    callback.on_train_batch_end(trainer_with(), module_of(Knows(0.0)), None, None, 0)
    assert callback.latest == {}
