"""QAM as a plugin for any network: trained with it (QDMN §5.2, Table 3), or borrowed to gate alone (§5.3, Table 4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memvos.errors import InputError
from memvos.model.checkpoints import load_model
from memvos.model.interface import Memory, MemoryFrame, Query, VOSModel
from memvos.model.proposals import ProposalSource


class _Around(VOSModel):
    """What a network with something around it has of the network: its features, its read, what it finds."""

    network: VOSModel

    @property
    def read(self) -> nn.Module | None:
        """The memory read of the network, where it has one."""
        return getattr(self.network, "read", None)

    @property
    def matcher(self) -> nn.Module | None:
        """What chooses among proposals in the network, where it has that."""
        return getattr(self.network, "matcher", None)

    @property
    def proposals(self) -> ProposalSource | None:
        """Where the network's proposals come from, where it takes any."""
        return getattr(self.network, "proposals", None)

    def encode(self, image: Tensor) -> Any:
        """Query features of the network."""
        return self.network.encode(image)

    def segment(self, query: Query, memory: Memory, previous: Tensor) -> Tensor:
        """The network's logits (B, N, H, W)."""
        return self.network.segment(query, memory, previous)

    def follow(self, query: Query, memory: Memory, previous: Tensor) -> tuple[Tensor, Any]:
        """The network's logits (B, N, H, W), and what else it found that a loss may supervise."""
        return self.network.follow(query, memory, previous)


class QAMPlugin(_Around):
    """A network of any kind, with QAM on its memory feature (Enc_s = Enc_m, Eq. 1); nothing in the network changes.

    Args:
        network: any `VOSModel`. QAM looks at `MemoryFrame.feature`, or at the value where a network names no feature.
        quality: QualityHead factory, called as `quality(channels=…, grid=…)`.
        grid: memory grid of a training crop, to which QAM resizes its input.
    """

    def __init__(self, network: VOSModel, quality: Callable[..., nn.Module], grid: int = 24) -> None:
        super().__init__()
        self.network = network
        self.stride, self.pad_to = network.stride, network.pad_to
        self.quality = quality(channels=feature_channels(network), grid=grid)

    def memorize(self, query: Query, masks: Tensor) -> MemoryFrame:
        """The network's record of a frame with its masks (B, N, H, W), with QAM's scores of them."""
        record = self.network.memorize(query, masks)
        return replace(record, quality=self.quality(_feature(record)))


class BorrowedQAM(_Around):
    """A network trained without QAM, gated by the scores of a trained QDMN: its score encoder and its QAM, as they are.

    Args:
        network: any `VOSModel`; the weights of a checkpoint are the network's alone.
        source: checkpoint of the QDMN.

    Raises:
        InputError: if there is no source, or its network has no QAM.
    """

    settled = ("score_encoder.", "quality.")

    def __init__(self, network: VOSModel, source: str | Path | None) -> None:
        super().__init__()
        if source is None:
            raise InputError("no QAM to borrow; give model.source=FILE, the checkpoint of a trained QDMN")
        lender = load_model("qdmn", source).requires_grad_(False)
        if not any(True for _ in lender.quality.parameters()):
            raise InputError(f"{source}: its QDMN has no QAM to borrow; give one trained with model/quality=qam")
        self.network = network
        self.stride, self.pad_to = network.stride, math.lcm(network.pad_to, lender.pad_to)
        self.score_encoder, self.quality = lender.memory_encoder, lender.quality

    def memorize(self, query: Query, masks: Tensor) -> MemoryFrame:
        """The network's record of a frame with its masks (B, N, H, W), with the QDMN's scores of them."""
        record = self.network.memorize(query, masks)
        return replace(record, quality=self.quality(self.score_encoder(query.image, masks)))


def feature_channels(network: VOSModel) -> int:
    """Channels C of a network's memory feature, found by memorising an empty frame."""
    side = 4 * network.pad_to
    device = next((parameter.device for parameter in network.parameters()), None)
    training = network.training
    with torch.no_grad():
        network.eval()
        query = network.query(torch.zeros(1, 3, side, side, device=device))
        record = network.memorize(query, torch.zeros(1, 1, side, side, device=device))
        network.train(training)
    return _feature(record).shape[2]


def _feature(record: MemoryFrame) -> Tensor:
    return record.value if record.feature is None else record.feature
