"""Batch normalisation with frozen statistics, an affine map that convolutions take in. QDMN §4 trains in eval mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FrozenStatistics(nn.BatchNorm2d):
    """Batch normalisation that never updates its statistics; its weight and bias are trained (`affine_trainable`).

    The published networks train with the whole model in eval mode: ImageNet statistics in the trunks, mean 0 and
    variance 1 in the ASPP.
    """

    def __init__(self, channels: int, affine_trainable: bool = True) -> None:
        super().__init__(channels)
        self.eval()
        self.weight.requires_grad_(affine_trainable)
        self.bias.requires_grad_(affine_trainable)

    def train(self, mode: bool = True) -> FrozenStatistics:
        """Stay in eval mode, whatever the network does."""
        return super().train(False)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """The affine map y = scale · x + shift that frozen statistics amount to; both (C,)."""
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale


def convolve(x: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """Return norm(convolution(x)), (B, C, h, w).

    Frozen statistics are an affine map, which is folded into the weights on the fly (differentiably), so that the
    features are written and read once instead of twice.
    """
    if not isinstance(norm, FrozenStatistics):
        return norm(convolution(x))
    c = convolution
    return F.conv2d(x, *fold(c, norm), c.stride, c.padding, c.dilation, c.groups)


def use_live_statistics(trunk: nn.Module) -> None:
    """Replace all frozen statistics by ordinary batch normalisation, which a trunk needs that starts from scratch."""
    for name, child in trunk.named_children():
        if isinstance(child, FrozenStatistics):
            setattr(trunk, name, nn.BatchNorm2d(child.num_features))
        else:
            use_live_statistics(child)


def fold(convolution: nn.Conv2d, norm: FrozenStatistics) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals `norm(convolution(x))`."""
    scale, shift = norm.scale_and_shift()
    if convolution.bias is not None:
        shift = shift + convolution.bias * scale
    return convolution.weight * scale.view(-1, 1, 1, 1), shift
