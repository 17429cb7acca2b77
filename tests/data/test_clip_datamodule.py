import os
import signal
from itertools import pairwise

import cv2
import pytest
import pytorch_lightning as pl
import torch

from memvos.data.clip_datamodule import ClipDataModule, one_thread
from memvos.data.datamodules import PseudoVideoDataModule, VideoClipDataModule
from memvos.data.sampling import Source
from memvos.data.tree import Tree
from memvos.data.trees import DavisTree
from memvos.errors import InputError


class Listener(pl.LightningModule):
    """Writes down what it is given, and stops or not."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.heard = []

    def training_step(self, batch, index):
        self.heard.append(batch.names)
        return self.weight * 0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def trainer(tmp_path):
    """A function that makes a trainer on the CPU which writes nothing."""

    def make(**options) -> pl.Trainer:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        home = {"accelerator": "cpu", "default_root_dir": tmp_path, "enable_checkpointing": False}
        return pl.Trainer(**{**quiet, **home, **options})

    return make


def times(batches):
    """Frame numbers of the clips of batches."""
    return [[int(t) for t in name.split("/")[1].split(",")] for batch in batches for name in batch]


def test_an_epoch_has_its_size_or_every_item_once(module):
    assert len(module().train_dataloader()) == 4
    assert len(module(epoch_size=None).train_dataloader()) == 1
    assert len(module(batch_size=50).train_dataloader()) == 1


def test_workers_do_not_change_the_stream(module):
    alone, two = (list(module(num_workers=count).train_dataloader()) for count in (0, 2))
    assert [batch.names for batch in alone] == [batch.names for batch in two]
    assert all((a.frames == b.frames).all() for a, b in zip(alone, two, strict=True))


def test_workers_leave_a_ctrl_c_to_the_training_process(module):
    loader = module(num_workers=1, epoch_size=40).train_dataloader()
    batches = iter(loader)
    names = [next(batches).names]
    for worker in loader._iterator._workers:
        os.kill(worker.pid, signal.SIGINT)
    names += [batch.names for batch in batches]
    assert names == [batch.names for batch in module(epoch_size=40).train_dataloader()]


@pytest.mark.parametrize("saved_at", [4, 6, 8])  # the end of an epoch of 4 batches, and the middle of one
def test_a_resumed_training_goes_on_with_the_clips_it_has_not_seen(module, trainer, tmp_path, saved_at):
    whole = Listener()
    checkpoints = pl.callbacks.ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=2, save_top_k=-1)
    trainer(max_steps=12, callbacks=[checkpoints], enable_checkpointing=True).fit(whole, module())
    assert len(set(whole.heard)) > 6
    rest = Listener()
    trainer(max_steps=12).fit(rest, module(), ckpt_path=tmp_path / f"step={saved_at}.ckpt", weights_only=True)
    assert rest.heard == whole.heard[saved_at:]


def test_a_finished_training_can_be_prolonged(module, trainer, tmp_path):
    first, second, whole = Listener(), Listener(), Listener()
    short = trainer(max_steps=6)
    short.fit(first, module())
    short.save_checkpoint(tmp_path / "last.ckpt")
    trainer(max_steps=12).fit(second, module(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    trainer(max_steps=12).fit(whole, module())
    assert first.heard + second.heard == whole.heard


def test_the_curriculum_follows_the_planned_steps_of_the_trainer(module, trainer):
    schedule = [[0.5, 1], [1, 2]]
    listener = Listener()
    datamodule = module(epoch_size=64, max_skip=schedule, reverse=0)
    trainer(max_steps=16, accumulate_grad_batches=2).fit(listener, datamodule)  # 32 batches

    def widest(batches):
        return max(b - a for clip in times(batches) for a, b in pairwise(clip))

    assert widest(listener.heard[:17]) == 1
    assert widest(listener.heard[17:]) == 2


def test_without_a_trainer_the_curriculum_follows_what_it_is_told(module):
    datamodule = module(max_skip=[[0.5, 1], [1, 2]], epoch_size=40, reverse=0)

    def steps():
        heard = [batch.names for batch in datamodule.train_dataloader()]
        return {b - a for clip in times(heard) for a, b in pairwise(clip)}

    assert steps() == {1}
    datamodule.set_progress(0.8)
    assert steps() == {1, 2}


def test_validation_and_test_videos_come_from_their_trees(davis_root, module):
    datamodule = module(val=DavisTree(davis_root, "train", subset="-1:"), test=DavisTree(davis_root, "val"))
    assert [video.name for video in datamodule.val_videos] == ["cars"]
    assert [video.name for video in datamodule.test_videos] == ["dog"]
    assert module().val_videos == []
    assert [tree.name for tree in datamodule.trees] == ["davis/train", "davis/train", "davis/val"]


def test_the_fingerprint_follows_trees_and_shares(davis_root):
    tree = DavisTree(davis_root, "train")
    one = VideoClipDataModule([tree], 32, 2).fingerprint()
    assert one == VideoClipDataModule([{"tree": tree}], 64, 4).fingerprint()
    assert one != VideoClipDataModule([{"tree": tree, "repeat": 2}], 32, 2).fingerprint()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"batch_size": 0}, "batch_size as a whole number from 1, got 0"),
        ({"num_workers": -1}, "num_workers as a whole number from 0, got -1"),
        ({"epoch_size": 0}, "epoch_size as a whole number from 1, or null"),
    ],
)
@pytest.mark.parametrize("kind", [PseudoVideoDataModule, VideoClipDataModule])
def test_numbers_that_give_no_batches_are_refused(davis_root, kind, given, told):
    with pytest.raises(InputError, match=f"expected {told}"):
        kind([DavisTree(davis_root, "train")], **{"size": 32, "batch_size": 2, **given})


def test_an_epoch_has_whole_batches_only_and_at_least_one():
    def batches(**sizes):
        return len(ClipDataModule([], range(10), **sizes).train_dataloader())

    assert batches(batch_size=4) == 2  # of 10 items; the last two wait for the next epoch
    assert batches(batch_size=4, epoch_size=21) == 5
    assert batches(batch_size=4, epoch_size=3) == 1


def test_videos_are_scored_as_their_validation_tree_says():
    assert ClipDataModule([], range(1), 1).val_protocol == "davis"
    assert ClipDataModule([], range(1), 1, val=Tree("v", "/", protocol="youtube")).val_protocol == "youtube"
    assert ClipDataModule([], range(1), 1, test=Tree("t", "/", protocol="youtube")).val_protocol == "davis"


def test_the_order_of_the_mixture_counts_for_its_fingerprint():
    one, other = (Source(Tree("t", "/", settings=settings)) for settings in ("one", "other"))
    marks = [ClipDataModule(mixture, range(1), 1).fingerprint() for mixture in ([one, other], [other, one], [one])]
    assert len(set(marks)) == 3
    assert all(len(mark) == 16 for mark in marks)


@pytest.mark.parametrize(
    ("plan", "share"),
    [
        ({"max_steps": 4, "max_epochs": -1}, [0, 1 / 8, 2 / 8]),  # 4 steps of 2 batches
        ({"max_steps": -1, "max_epochs": 2}, [0, 1 / 6, 2 / 6]),  # 2 epochs of 3 batches
        ({"max_steps": 4, "max_epochs": 2}, [0, 1 / 6, 2 / 6]),  # what ends first
        ({"max_steps": -1, "max_epochs": -1}, [0.7, 0.7, 0.7]),  # no end: what it was told
    ],
)
def test_progress_is_the_share_of_the_batches_that_the_trainer_plans(trainer, plan, share):
    datamodule = ClipDataModule([], range(3), 1)
    datamodule.trainer = trainer(accumulate_grad_batches=2, **plan)
    datamodule.set_progress(0.7)
    assert [progress for _, progress in datamodule.train_dataloader().sampler] == pytest.approx(share)


def test_progress_does_not_pass_the_end_of_the_plan(trainer):
    datamodule = ClipDataModule([], range(6), 1)
    datamodule.trainer = trainer(max_steps=4)
    progress = [progress for _, progress in datamodule.train_dataloader().sampler]
    assert progress == [0, 0.25, 0.5, 0.75, 1, 1]


def test_loading_leaves_opencv_one_thread():
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        one_thread()
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)
