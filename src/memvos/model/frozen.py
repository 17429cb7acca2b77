"""Batch normalisation with frozen statistics, an affine map that convolutions take in. QDMN §4 trains in eval mode."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized


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


def for_inference(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A twin that has its convolutions ready: frozen statistics folded in, weights in the arithmetic's type, once.

    Everything else is shared with `module`, whose later training reaches only a part of the twin. Results are the
    same; small images, of which the weights are a large part of the work, are segmented faster.
    """
    twin = _shallow(module)
    for name, part in module.named_children():
        if isinstance(part, FrozenStatistics):
            before = "0" if name == "1" else name.replace("bn", "conv")
            twin._modules[before] = _ready(*fold(module._modules[before], part), module._modules[before], dtype)
            twin._modules[name] = nn.Identity()
        elif isinstance(part, nn.Conv2d) and "weight" in part._parameters:  # weight norm computes it anew
            twin._modules[name] = _ready(part.weight, part.bias, part, dtype)
        elif not is_parametrized(part):  # PyTorch copies none of these: they are shared
            twin._modules[name] = for_inference(part, dtype)
    return twin


def _ready(weight: Tensor, bias: Tensor | None, convolution: nn.Conv2d, dtype: torch.dtype) -> nn.Conv2d:
    twin = _shallow(convolution)
    for name, tensor in (("weight", weight), ("bias", bias)):
        ready = None if tensor is None else nn.Parameter(tensor.detach().to(dtype), requires_grad=False)
        twin.register_parameter(name, ready)
    return twin


def _shallow(module: nn.Module) -> nn.Module:
    twin = copy.copy(module)
    for kind in ("_modules", "_parameters"):
        twin.__dict__[kind] = dict(module.__dict__[kind])
    return twin
