"""Small networks, and weights that any machine regenerates."""

import zlib
from functools import partial

import numpy as np
import pytest
import torch

from memvos.model.backbone import ResNet
from memvos.model.memory_read import MemoryRead, NegativeDistance
from memvos.model.mivos import MiVOS
from memvos.model.pem import WeakPrior
from memvos.model.qam import QualityHead
from memvos.model.qdmn import QDMN
from memvos.model.stcn import STCN


@pytest.fixture
def tiny():
    """A factory of QDMNs of some ten thousand parameters: trunks of base width 4, memory grid of 8 pixels per step."""

    def make(**changes):
        torch.manual_seed(0)
        sizes = {"key_channels": 4, "value_channels": 6, "decoder_width": 4, "aspp_width": 4, "aspp_rates": (1, 2)}
        parts = {
            "backbone": partial(ResNet, 18, width=4, output_stride=8),
            "prior": WeakPrior,
            "quality": QualityHead,
            "read": MemoryRead(),
            "grid": 4,
        }
        return QDMN(**{**sizes, **parts, **changes}).eval()

    return make


@pytest.fixture
def tiny_mivos():
    """A factory of MiVOS networks as small as `tiny`."""

    def make(**changes):
        torch.manual_seed(0)
        parts = {"backbone": partial(ResNet, 18, width=4, output_stride=8), "read": MemoryRead()}
        sizes = {"key_channels": 4, "value_channels": 6, "decoder_width": 4}
        return MiVOS(**{**sizes, **parts, **changes}).eval()

    return make


@pytest.fixture
def tiny_stcn():
    """A factory of STCNs as small as `tiny`."""

    def make(**changes):
        torch.manual_seed(0)
        backbone = partial(ResNet, 18, width=4, output_stride=8)
        parts = {"key_backbone": backbone, "value_backbone": backbone, "read": MemoryRead(None, NegativeDistance())}
        sizes = {"key_channels": 4, "value_channels": 6, "decoder_width": 4}
        return STCN(**{**sizes, **parts, **changes}).eval()

    return make


@pytest.fixture(scope="session")
def keyed():
    """Tensors from their names alone: normals from a generator seeded by the CRC-32 of the name."""

    def tensor(name, shape, scale):
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        return torch.from_numpy(generator.standard_normal(tuple(shape), dtype=np.float32) * np.float32(scale))

    return tensor


@pytest.fixture
def move():
    """Give a batch norm statistics and an affine map that are not the identity."""

    def change(norm):
        with torch.no_grad():
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_(0.5, 2)
            norm.bias.uniform_(-1, 1)

    return change
