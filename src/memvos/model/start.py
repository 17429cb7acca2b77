"""What is done to fresh weights before a training: nothing, or keys (and templates) that already match.

With independent default keys the similarities of a fresh QDMN deviate by .01 to .03 over the memory, so attention is
uniform and a short training never learns to use the memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AsIs:
    """Leave the weights as they are (published)."""

    def __call__(self, model: nn.Module) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class MatchedKeys:
    """Let memory and query positions that look alike have like keys, where both have their own.

    The query trunk and key projection are copied to the memory side, whose trunk keeps its own stem channels for the
    masks. Biases centre the keys on noise images (a common offset of all keys would make some memory positions popular
    with every query), and one scale gives the similarities the asked deviation. No data is needed.

    Args:
        deviation: of the similarities over memory positions, averaged over query positions.
    """

    deviation: float = 3.0

    def __call__(self, model: nn.Module) -> None:
        """Change the memory trunk and both key projections.

        Args:
            model: a network with memory_encoder, query_encoder, memory_projection, query_projection and read (QDMN).
        """
        query, memory = model.query_encoder.trunk, model.memory_encoder.trunk
        training = query.training
        with torch.no_grad():
            model.eval()  # live batch statistics, where there are any, stay as they are
            extra = memory.conv1.weight[:, 3:].clone()
            copied = query.state_dict()
            copied["conv1.weight"] = torch.cat([copied["conv1.weight"], extra], dim=1)
            memory.load_state_dict({**memory.state_dict(), **copied})  # convolution biases may be its own
            images, masks = _noise(model.pad_to)
            seen = query(images).f16
            remembered = model.memory_encoder(images, masks).flatten(0, 1)
            convolution = model.query_projection.key
            _centre(convolution, seen)
            model.memory_projection.key.load_state_dict(convolution.state_dict())
            _centre(model.memory_projection.key, remembered)
            logits = model.read.similarity(
                convolution(seen).flatten(2), model.memory_projection.key(remembered).flatten(2)
            )
            _scale([convolution, model.memory_projection.key], logits, self.deviation)
            model.train(training)


@dataclass(frozen=True)
class SpreadKeys:
    """Let keys that memory and query share tell positions apart: centred and scaled as those of `MatchedKeys`.

    Args:
        deviation: of the similarities over memory positions, averaged over query positions.
    """

    deviation: float = 3.0

    def __call__(self, model: nn.Module) -> None:
        """Change the key projection.

        Args:
            model: a network with query_encoder, query_projection and read, without a key of the memory's own (STCN).
        """
        training = model.query_encoder.training
        with torch.no_grad():
            model.eval()
            seen = model.query_encoder(_noise(model.pad_to)[0]).f16
            convolution = model.query_projection.key
            _centre(convolution, seen)
            key = convolution(seen).flatten(2)
            _scale([convolution], model.read.similarity(key, key), self.deviation)
            model.train(training)


@dataclass(frozen=True)
class MatchedTemplates:
    """As `MatchedKeys`, for DMN-AOA: let objects that look alike be alike to the memory and to the matcher.

    Keys of memory and query match; values start near the features they are made of, and the projector of templates as
    that of proposals. Independent values and projectors tell objects apart no better than chance, and the sharp
    matching layer (γ = 10, α = 100) then gives most of the gradient to whichever proposal chance prefers.

    Args:
        deviation: of the similarities over memory positions, averaged over query positions.
    """

    deviation: float = 3.0

    def __call__(self, model: nn.Module) -> None:
        """Change the template and the matcher of a network with encode and regions (DMNAOA); no data is needed."""
        training = model.training
        with torch.no_grad():
            model.eval()
            images, _ = _noise(model.pad_to)
            size = (images.shape[2], images.shape[3])
            boxes = torch.tensor([0.0, 0.0, size[1], size[0]]).expand(len(images), 1, 4)
            model.template.match(model.regions(model.encode(images), boxes, size), self.deviation)
            model.matcher.match_projectors()
            model.train(training)


def _scale(convolutions: list[nn.Conv2d], logits: Tensor, deviation: float) -> None:
    """Scale the keys so that the similarities (B, Q, P), quadratic in them, deviate as asked over memory positions."""
    scale = (deviation / logits.std(dim=-1).mean()).sqrt()
    for convolution in convolutions:
        convolution.weight.mul_(scale)
        convolution.bias.mul_(scale)


def _centre(convolution: nn.Conv2d, feature: Tensor) -> None:
    convolution.bias.sub_(convolution(feature).mean(dim=(0, 2, 3)))


def _noise(multiple: int) -> tuple[Tensor, Tensor]:
    """Four smooth random images (4, 3, S, S) of about normalised scale and disc masks (4, 1, S, S); always the same."""
    generator = torch.Generator().manual_seed(0)
    size = 8 * multiple
    octaves = (
        torch.randn(4, 3, size // step, size // step, generator=generator) for step in (32, 16, 8, 4) if step <= size
    )
    images = (
        sum(F.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False) for noise in octaves) / 1.5
    )
    axis = torch.linspace(-1, 1, size)
    disc = (axis.view(-1, 1).square() + axis.square() < 0.25).float()
    return images, disc.expand(4, 1, size, size)
