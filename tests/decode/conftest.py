"""Two tiny models for the stepper: one that paints what the image says, one that really reads its memory."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from memvos.data.clip import IMAGENET_MEAN, IMAGENET_STD
from memvos.model.interface import MemoryFrame, VOSModel


class Painted(VOSModel):
    """Object n is where colour channel n is bright; the quality of every object is the blue of the first pixel."""

    stride = pad_to = 4

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen = []

    def encode(self, image):
        mean, deviation = (
            torch.tensor(part, device=image.device).view(1, 3, 1, 1) for part in (IMAGENET_MEAN, IMAGENET_STD)
        )
        return image * deviation + mean

    def memorize(self, query, masks):
        self.seen.append(("memorize", masks.clone()))
        value = F.avg_pool2d(masks, 4).unsqueeze(2)
        quality = query.features[:, 2, 0, 0].unsqueeze(1).expand(masks.shape[:2])
        return MemoryFrame(value.new_zeros(1, 1, 1, *value.shape[3:]), value, quality)

    def segment(self, query, memory, previous):
        self.seen.append(("segment", memory.valid, previous.clone()))
        return 20 * (query.features[:, : previous.shape[1]] - 0.5)


class Nearest(VOSModel):
    """A memory read by colour: every position takes the mask of the positions that look alike."""

    stride = pad_to = 4

    def __init__(self, sharpness=20.0):
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(sharpness))

    def encode(self, image):
        return F.avg_pool2d(image, 4)

    def memorize(self, query, masks):
        quality = 0.5 + 0.5 * (masks.flatten(2) - 0.5).abs().mean(dim=2)
        return MemoryFrame(query.features.unsqueeze(1), F.avg_pool2d(masks, 4).unsqueeze(2), quality)

    def segment(self, query, memory, previous):
        keys, wanted = memory.key.flatten(3), query.features.flatten(2).unsqueeze(1)
        similarity = -self.sharpness * (keys.unsqueeze(-1) - wanted.unsqueeze(-2)).square().sum(dim=2)
        if memory.valid is not None:
            readable = memory.valid.repeat_interleave(wanted.shape[-1], dim=2)
            similarity = similarity.masked_fill(~readable.unsqueeze(-1), -1e9)
        read = (memory.value.flatten(3) @ similarity.softmax(dim=2)).squeeze(2)
        read = read.view(*read.shape[:2], *query.features.shape[2:])
        return F.interpolate(read, query.image.shape[2:], mode="bilinear").logit(eps=1e-4)


@pytest.fixture
def painted():
    return Painted()


@pytest.fixture
def nearest():
    return Nearest()


@pytest.fixture(scope="session")
def paint():
    """paint((H, W), {channel: (top, bottom, left, right)}, quality=1.0) -> frame for `Painted`."""

    def make(size, boxes, quality=None):
        frame = np.zeros((*size, 3), np.uint8)
        for channel, (top, bottom, left, right) in boxes.items():
            frame[top:bottom, left:right, channel] = 255
        if quality is not None:
            frame[0, 0, 2] = round(255 * quality)
        return frame

    return make


@pytest.fixture(scope="session")
def clip():
    """clip(T, H, W): frames with a reddish square that moves over noise, and the label map of each."""

    def make(frames, height, width):
        random = np.random.default_rng(0)
        background = random.integers(0, 120, (height, width, 3)).astype(np.uint8)
        images, labels = [], []
        for time in range(frames):
            image, label = background.copy(), np.zeros((height, width), np.uint8)
            top, left = 2 + time % (height - 14), 2 + (2 * time) % (width - 14)
            image[top : top + 12, left : left + 12] = (230, 40, 40)
            label[top : top + 12, left : left + 12] = 1
            images.append(image)
            labels.append(label)
        return images, labels

    return make
