"""A network small enough to train in milliseconds, clips for it, and videos to segment."""

from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

from memvos.data.clip import Clip, ClipBatch
from memvos.data.datamodules import ClipDataModule
from memvos.data.trees import Video
from memvos.lit import ChannelsLast, Checkpoints, QDMNModule, make_trainer, split_batch
from memvos.lit import fit as fit_as_split
from memvos.losses import BootstrappedCrossEntropy, QualityLoss
from memvos.model.interface import MemoryFrame, VOSModel


class TinyRead(nn.Module):
    """Dot-product attention over all memory positions."""

    def forward(self, key, memory):
        weights = (key.flatten(2).transpose(1, 2).unsqueeze(1) @ memory.key.flatten(3)).softmax(dim=-1)
        return (weights @ memory.value.flatten(3).transpose(-1, -2)).transpose(-1, -2).unflatten(-1, key.shape[-2:])

    def statistics(self, key, memory):
        return {"logit_std": float((key.flatten(2).transpose(1, 2).unsqueeze(1) @ memory.key.flatten(3)).std())}


class TinyHead(nn.Module):
    """Quality from the mean of the feature."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 1)

    def forward(self, feature):
        return torch.sigmoid(self.fc(feature.mean(dim=(-2, -1))))[..., 0]


class Ones(nn.Module):
    """No quality head."""

    def forward(self, feature):
        return torch.ones(feature.shape[:-3])


class TinyVOS(VOSModel):
    """Everything a VOS network has, with four channels."""

    stride = pad_to = 4

    def __init__(self, quality=None):
        super().__init__()
        self.query_encoder = nn.Conv2d(3, 4, 4, 4)
        self.memory_encoder = nn.Conv2d(4, 4, 4, 4)
        self.key, self.value, self.read = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 4, 1), TinyRead()
        self.decoder = nn.Conv2d(8, 1, 1)
        self.quality = quality or TinyHead()

    def encode(self, image):
        return self.query_encoder(image)

    def memorize(self, query, masks):
        objects = masks.shape[:2]
        image = query.image.unsqueeze(1).expand(-1, objects[1], -1, -1, -1)
        feature = self.memory_encoder(torch.cat([image, masks.unsqueeze(2)], dim=2).flatten(0, 1)).relu()
        key, value = self.key(feature).unflatten(0, objects), self.value(feature).unflatten(0, objects)
        return MemoryFrame(key, value, self.quality(feature.unflatten(0, objects)))

    def segment(self, query, memory, previous):
        read = self.read(self.key(query.features), memory)
        own = self.value(query.features).unsqueeze(1).expand_as(read)
        logits = self.decoder(torch.cat([read, own], dim=2).flatten(0, 1))
        return nn.functional.interpolate(logits, scale_factor=4.0)[:, 0].unflatten(0, previous.shape[:2])


def make_clip(index, frames=3, size=16):
    """A clip with a bright square that moves; a pure function of its index."""
    generator = torch.Generator().manual_seed(index)
    images = torch.randn(frames, 3, size, size, generator=generator)
    masks = torch.zeros(frames, 2, size, size)
    for time in range(frames):
        masks[time, 0, 2 + time : 8 + time, 3:10] = 1
        masks[time, 1, 10:14, 11 - time : 15 - time] = 1
    images += 2 * masks.sum(dim=1, keepdim=True)
    return Clip(images, masks, torch.tensor([True, index % 2 == 0]), f"clip{index}")


def make_module(model, **options):
    return QDMNModule(
        model,
        BootstrappedCrossEntropy(start=2, end=6, keep=0.5),
        QualityLoss(),
        partial(torch.optim.Adam, lr=1e-2),
        partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=8),
        **options,
    )


def split_and_fit(trainer, module, datamodule, batch, largest=None, resume=None):
    """As the command does it: split the batch, then train."""
    split = split_batch(batch, trainer.world_size, largest)
    trainer.accumulate_grad_batches, datamodule.batch_size = split.accumulate, split.per_device
    fit_as_split(trainer, module, datamodule, resume)
    return split


def quiet_trainer(folder, *callbacks, steps=4, every_steps=None, **options):
    """A trainer on the CPU that writes nothing but its checkpoints."""
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


class NumberedClips(Dataset):
    """Clips by sample number, as the real data sets give them; `seen` says which were asked for."""

    def __init__(self):
        self.seen = []

    def __len__(self):
        return 5

    def __getitem__(self, sample):
        self.seen.append(sample)
        return make_clip(sample[0])


@pytest.fixture
def tiny():
    """A tiny network with fixed weights."""
    torch.manual_seed(0)
    return TinyVOS()


@pytest.fixture
def tiny_without_qam():
    """The same without a quality head."""
    torch.manual_seed(0)
    return TinyVOS(Ones())


@pytest.fixture
def module_of():
    """Make a QDMNModule of a model."""
    return make_module


@pytest.fixture
def fit():
    """Split a global batch, then train."""
    return split_and_fit


@pytest.fixture
def trainer_of():
    """Make a trainer with a folder for its checkpoints."""
    return quiet_trainer


@pytest.fixture
def fresh(tiny):
    """Make the same untrained module again and again."""
    return lambda: make_module(deepcopy(tiny))


@pytest.fixture
def batch():
    """Two clips of three frames, 16 pixels; the second has one object."""
    return ClipBatch.collate([make_clip(0), make_clip(1)])


@pytest.fixture
def clips():
    """Make a datamodule of such clips."""
    return lambda workers=0: ClipDataModule([], NumberedClips(), batch_size=1, num_workers=workers)


@pytest.fixture
def make_videos(tmp_path):
    """Write videos of moving squares to disk."""

    def write(count=2, frames=12, size=(16, 20), objects=2):
        return [_video(tmp_path / "data" / f"video{index}", frames, size, objects) for index in range(count)]

    return write


def _video(folder: Path, frames: int, size: tuple[int, int], objects: int) -> Video:
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    random = np.random.default_rng(len(folder.name))
    images, masks = [], {}
    for time in range(frames):
        labels = np.zeros(size, np.uint8)
        for key in range(1, objects + 1):
            labels[8 * (key - 1) + 1 : 8 * key - 1, 2 + time % 8 : 9 + time % 8] = key
        pixels = random.integers(0, 60, (*size, 3)) + 60 * labels[..., None]
        images.append(folder / "images" / f"{time:05d}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(images[-1])
        masks[f"{time:05d}"] = folder / "masks" / f"{time:05d}.png"
        Image.fromarray(labels).save(masks[f"{time:05d}"])
    return Video(folder.name, images, masks, attributes=("motion",) if folder.name.endswith("0") else ())
