import albumentations
import pytest
import torch

from memvos.data.datamodules import PseudoVideoDataModule, VideoClipDataModule
from memvos.data.trees import DavisTree, ImageTree
from memvos.errors import InputError


def test_a_batch_has_the_shapes_of_the_stage(module, static_root):
    batch = next(iter(module().train_dataloader()))
    assert batch.frames.shape == (2, 3, 3, 32, 32)
    assert batch.masks.shape == (2, 3, 2, 32, 32)
    pseudo = PseudoVideoDataModule([ImageTree(static_root)], size=48, batch_size=3, frames=4)
    batch = next(iter(pseudo.train_dataloader()))
    assert batch.frames.shape == (3, 4, 3, 48, 48)
    assert batch.masks.shape == (3, 4, 1, 48, 48)


def test_a_cache_does_not_change_the_stream(module):
    plain, cached = (list(module(cache=keep).train_dataloader()) for keep in (False, True))
    assert all((a.frames == b.frames).all() and (a.masks == b.masks).all() for a, b in zip(plain, cached, strict=True))


def test_transforms_can_be_replaced_and_added(module):
    chosen = [albumentations.Resize(16, 24)]
    datamodule = module(min_pixels=1, transforms=chosen, extra_transforms=[albumentations.ToGray(p=1)])
    batch = next(iter(datamodule.train_dataloader()))
    assert batch.frames.shape[-2:] == (16, 24)
    raw = (
        batch.frames * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        + torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    )
    assert torch.allclose(raw[:, :, 0], raw[:, :, 2], atol=1e-5)


@pytest.mark.parametrize("name", ["frames", "max_objects"])
@pytest.mark.parametrize("kind", [PseudoVideoDataModule, VideoClipDataModule])
def test_numbers_that_give_no_clips_are_refused(davis_root, kind, name):
    with pytest.raises(InputError, match=f"expected {name} as a whole number from 1, got 0"):
        kind([DavisTree(davis_root, "train")], **{"size": 32, "batch_size": 2, name: 0})


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
