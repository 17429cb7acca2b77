import os
import signal
from itertools import pairwise

import albumentations
import pytest
import pytorch_lightning as pl
import torch

from memvos.data.datamodules import PseudoVideoDataModule, VideoClipDataModule
from memvos.data.trees import DavisTree, ImageTree
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


def trainer(steps, root, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    options = {"enable_checkpointing": False, **options}
    return pl.Trainer(max_steps=steps, accelerator="cpu", default_root_dir=root, **quiet, **options)


def module(root, **options):
    options = {"size": 32, "batch_size": 2, "epoch_size": 8, **options}
    return VideoClipDataModule([DavisTree(root, "train")], **options)


def times(batches):
    """Frame numbers of the clips of batches."""
    return [[int(t) for t in name.split("/")[1].split(",")] for batch in batches for name in batch]


def test_a_batch_has_the_shapes_of_the_stage(davis_root, static_root):
    batch = next(iter(module(davis_root).train_dataloader()))
    assert batch.frames.shape == (2, 3, 3, 32, 32)
    assert batch.masks.shape == (2, 3, 2, 32, 32)
    pseudo = PseudoVideoDataModule([ImageTree(static_root)], size=48, batch_size=3, frames=4)
    batch = next(iter(pseudo.train_dataloader()))
    assert batch.frames.shape == (3, 4, 3, 48, 48)
    assert batch.masks.shape == (3, 4, 1, 48, 48)


def test_an_epoch_has_its_size_or_every_item_once(davis_root):
    assert len(module(davis_root).train_dataloader()) == 4
    assert len(module(davis_root, epoch_size=None).train_dataloader()) == 1
    assert len(module(davis_root, batch_size=50).train_dataloader()) == 1


def test_workers_do_not_change_the_stream(davis_root):
    alone, two = (list(module(davis_root, num_workers=count).train_dataloader()) for count in (0, 2))
    assert [batch.names for batch in alone] == [batch.names for batch in two]
    assert all((a.frames == b.frames).all() for a, b in zip(alone, two, strict=True))


def test_workers_leave_a_ctrl_c_to_the_training_process(davis_root):
    loader = module(davis_root, num_workers=1, epoch_size=40).train_dataloader()
    batches = iter(loader)
    names = [next(batches).names]
    for worker in loader._iterator._workers:
        os.kill(worker.pid, signal.SIGINT)
    names += [batch.names for batch in batches]
    assert names == [batch.names for batch in module(davis_root, epoch_size=40).train_dataloader()]


def test_a_cache_does_not_change_the_stream(davis_root):
    plain, cached = (list(module(davis_root, cache=keep).train_dataloader()) for keep in (False, True))
    assert all((a.frames == b.frames).all() and (a.masks == b.masks).all() for a, b in zip(plain, cached, strict=True))


@pytest.mark.parametrize("saved_at", [4, 6, 8])  # the end of an epoch of 4 batches, and the middle of one
def test_a_resumed_training_goes_on_with_the_clips_it_has_not_seen(davis_root, tmp_path, saved_at):
    whole = Listener()
    checkpoints = pl.callbacks.ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=2, save_top_k=-1)
    trainer(12, tmp_path, callbacks=[checkpoints], enable_checkpointing=True).fit(whole, module(davis_root))
    assert len(set(whole.heard)) > 6
    rest = Listener()
    trainer(12, tmp_path).fit(rest, module(davis_root), ckpt_path=tmp_path / f"step={saved_at}.ckpt", weights_only=True)
    assert rest.heard == whole.heard[saved_at:]


def test_a_finished_training_can_be_prolonged(davis_root, tmp_path):
    first, second, whole = Listener(), Listener(), Listener()
    short = trainer(6, tmp_path)
    short.fit(first, module(davis_root))
    short.save_checkpoint(tmp_path / "last.ckpt")
    trainer(12, tmp_path).fit(second, module(davis_root), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    trainer(12, tmp_path).fit(whole, module(davis_root))
    assert first.heard + second.heard == whole.heard


def test_the_curriculum_follows_the_planned_steps_of_the_trainer(davis_root, tmp_path):
    schedule = [[0.5, 1], [1, 2]]
    listener = Listener()
    datamodule = module(davis_root, epoch_size=64, max_skip=schedule, reverse=0)
    trainer(16, tmp_path, accumulate_grad_batches=2).fit(listener, datamodule)  # 32 batches

    def widest(batches):
        return max(b - a for clip in times(batches) for a, b in pairwise(clip))

    assert widest(listener.heard[:17]) == 1
    assert widest(listener.heard[17:]) == 2


def test_without_a_trainer_the_curriculum_follows_what_it_is_told(davis_root):
    datamodule = module(davis_root, max_skip=[[0.5, 1], [1, 2]], epoch_size=40, reverse=0)

    def steps():
        heard = [batch.names for batch in datamodule.train_dataloader()]
        return {b - a for clip in times(heard) for a, b in pairwise(clip)}

    assert steps() == {1}
    datamodule.set_progress(0.8)
    assert steps() == {1, 2}


def test_validation_and_test_videos_come_from_their_trees(davis_root):
    datamodule = module(davis_root, val=DavisTree(davis_root, "train", subset="-1:"), test=DavisTree(davis_root, "val"))
    assert [video.name for video in datamodule.val_videos] == ["cars"]
    assert [video.name for video in datamodule.test_videos] == ["dog"]
    assert module(davis_root).val_videos == []
    assert [tree.name for tree in datamodule.trees] == ["davis/train", "davis/train", "davis/val"]


def test_the_fingerprint_follows_trees_and_shares(davis_root):
    tree = DavisTree(davis_root, "train")
    one = VideoClipDataModule([tree], 32, 2).fingerprint()
    assert one == VideoClipDataModule([{"tree": tree}], 64, 4).fingerprint()
    assert one != VideoClipDataModule([{"tree": tree, "repeat": 2}], 32, 2).fingerprint()


def test_transforms_can_be_replaced_and_added(davis_root):
    chosen = [albumentations.Resize(16, 24)]
    datamodule = module(davis_root, min_pixels=1, transforms=chosen, extra_transforms=[albumentations.ToGray(p=1)])
    batch = next(iter(datamodule.train_dataloader()))
    assert batch.frames.shape[-2:] == (16, 24)
    raw = (
        batch.frames * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        + torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    )
    assert torch.allclose(raw[:, :, 0], raw[:, :, 2], atol=1e-5)


@pytest.mark.parametrize(
    ("given", "told"),
    [({"num_workers": -1}, "num_workers as a whole number from 0"), ({"frames": 0}, "frames as a whole number from 1"),
     ({"batch_size": 0}, "batch_size as a whole number from 1"), ({"epoch_size": 0}, "epoch_size as a whole number"),
     ({"max_objects": 0}, "max_objects as a whole number from 1")],
)  # fmt: skip
@pytest.mark.parametrize("kind", [PseudoVideoDataModule, VideoClipDataModule])
def test_numbers_that_give_no_clips_are_refused(davis_root, kind, given, told):
    with pytest.raises(InputError, match=f"expected {told}"):
        kind([DavisTree(davis_root, "train")], **{"size": 32, "batch_size": 2, **given})


def test_a_mixture_without_items_is_refused():
    with pytest.raises(InputError, match="got no training item"):
        PseudoVideoDataModule([], 32, 2)


@pytest.mark.shared
def test_real_images_and_videos_become_clips(shared):
    data = shared / "data"
    pseudo = PseudoVideoDataModule([ImageTree(data / "static_images")], 128, 4, max_objects=2)
    videos = VideoClipDataModule([DavisTree(data / "davis2016", "train")], 128, 4)
    for batch in (next(iter(pseudo.train_dataloader())), next(iter(videos.train_dataloader()))):
        assert batch.frames.shape == (4, 3, 3, 128, 128)
        assert batch.valid[:, 0].all()
        assert (batch.masks[:, 0, 0].sum((1, 2)) >= 16).all()
