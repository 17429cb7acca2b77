"""ResNet trunks up to layer3 with frozen batch-norm statistics. QDMN §4 (ResNet-50 for all encoders)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memvos.errors import InputError
from memvos.model.frozen import FrozenStatistics, convolve, use_live_statistics
from memvos.model.layouts import is_neutral
from memvos.model.state_files import LoadReport, abridged, check_kinds, check_shapes, read_file
from memvos.paths import shipped_weights

BLOCKS = {18: (2, 2, 2), 34: (3, 4, 6), 50: (3, 4, 6), 101: (3, 4, 23)}
UNUSED = ("layer4.", "fc.")


class Features(NamedTuple):
    """What a trunk sees in an image: f4 (B, C4, H/4, W/4), f8 (B, C8, H/8, W/8), f16 (B, C, h, w)."""

    f4: Tensor
    f8: Tensor
    f16: Tensor


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut (ResNet-18, -34)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, conv_bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=conv_bias)
        self.bn1 = FrozenStatistics(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=conv_bias)
        self.bn2 = FrozenStatistics(channels)
        self.downsample = _shortcut(in_channels, channels, stride, conv_bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) → (B, channels, h/stride, w/stride)."""
        shortcut = x if self.downsample is None else convolve(x, *self.downsample)
        x = F.relu(convolve(x, self.conv1, self.bn1), inplace=True)
        return F.relu(convolve(x, self.conv2, self.bn2) + shortcut, inplace=True)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 convolutions with a shortcut (ResNet-50); the stride sits on the 3×3."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, conv_bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=conv_bias)
        self.bn1 = FrozenStatistics(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=conv_bias)
        self.bn2 = FrozenStatistics(channels)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=conv_bias)
        self.bn3 = FrozenStatistics(channels * self.expansion)
        self.downsample = _shortcut(in_channels, channels * self.expansion, stride, conv_bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) → (B, 4 · channels, h/stride, w/stride)."""
        shortcut = x if self.downsample is None else convolve(x, *self.downsample)
        x = F.relu(convolve(x, self.conv1, self.bn1), inplace=True)
        x = F.relu(convolve(x, self.conv2, self.bn2), inplace=True)
        return F.relu(convolve(x, self.conv3, self.bn3) + shortcut, inplace=True)


def _shortcut(in_channels: int, channels: int, stride: int, conv_bias: bool) -> nn.Sequential | None:
    if stride == 1 and in_channels == channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride, bias=conv_bias), FrozenStatistics(channels))


class ResNet(nn.Module):
    """ResNet up to layer3, with any number of input channels.

    Args:
        depth: 18, 34, 50 or 101.
        in_channels: 3 for RGB; channels beyond the third (mask, others) start orthogonal.
        width: base channels; 64 in the papers.
        output_stride: 16 in the papers; 8 leaves out the stride of layer3, for small images.
        conv_bias: give every convolution a bias, starting at 0 (both encoders of the released QDMN).
        weights: "imagenet" (torchvision, fetched once), "small" (shipped with the package), a file
            (.pth, .npz, .safetensors with torchvision names), or None for a fresh start.
        statistics: of the batch norms; "frozen" as published, or "live" to train a trunk from scratch, whose weights a
            trunk with frozen statistics can load.

    Attributes:
        channels: (C4, C8, C16) of the features.
        report: what was loaded, or None.

    Raises:
        InputError: if the depth or output stride is unknown, or the weights cannot be had or do not fit.
    """

    def __init__(
        self,
        depth: int = 50,
        in_channels: int = 3,
        width: int = 64,
        output_stride: int = 16,
        conv_bias: bool = False,
        weights: str | Path | None = None,
        statistics: str = "frozen",
    ) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise InputError(f"unknown ResNet depth {depth}; expected one of {sorted(BLOCKS)}")
        if output_stride not in (8, 16):
            raise InputError(f"unknown output_stride {output_stride}; expected 8 or 16")
        if statistics not in ("frozen", "live"):
            raise InputError(f"unknown statistics {statistics!r}; expected frozen or live")
        block = Bottleneck if depth >= 50 else BasicBlock
        self.depth, self.in_channels, self.width, self.output_stride = depth, in_channels, width, output_stride
        self.channels = tuple(width * factor * block.expansion for factor in (1, 2, 4))
        self.conv1 = nn.Conv2d(in_channels, width, 7, 2, 3, bias=conv_bias)
        self.bn1 = FrozenStatistics(width)
        first, second, third = BLOCKS[depth]
        c4, c8, _ = self.channels
        self.layer1 = _stage(block, width, width, first, 1, conv_bias)
        self.layer2 = _stage(block, c4, 2 * width, second, 2, conv_bias)
        self.layer3 = _stage(block, c8, 4 * width, third, output_stride // 8, conv_bias)
        if statistics == "live":
            use_live_statistics(self)
        self._start_fresh()
        self.report = None if weights in (None, "none") else self.load(weights)

    def forward(self, image: Tensor) -> Features:
        """(B, in_channels, H, W) → features at strides 4, 8 and `output_stride`."""
        x = F.relu(convolve(image, self.conv1, self.bn1), inplace=True)
        f4 = self.layer1(F.max_pool2d(x, 3, 2, 1))
        f8 = self.layer2(f4)
        return Features(f4, f8, self.layer3(f8))

    def load(self, weights: str | Path) -> LoadReport:
        """Load weights with torchvision's names; tensors of layer4 and fc are left out, missing conv biases stay 0.

        Raises:
            InputError: if a name is missing or unknown, or a kind of number or a shape differs.
        """
        found = find_weights(weights, self.depth)
        unused = tuple(name for name in found if name.startswith(UNUSED) or name == "__metadata__")
        loaded = {name: tensor for name, tensor in found.items() if name not in unused}
        own = self.state_dict()
        missing = own.keys() - loaded.keys()
        fresh = {name for name in missing if is_neutral(name)}
        unexpected = loaded.keys() - own.keys()
        if missing - fresh or unexpected:
            raise InputError(
                f"{weights}: not a ResNet-{self.depth} trunk: missing {abridged(missing - fresh) or 'nothing'}, "
                f"unexpected {abridged(unexpected) or 'nothing'}; give weights of model.backbone.depth"
            )
        check_kinds(loaded, own, str(weights))
        loaded = {name: tensor.float() for name, tensor in loaded.items()}
        loaded["conv1.weight"] = extend_stem(loaded["conv1.weight"], self.in_channels)
        check_shapes(loaded, own, str(weights), "give weights of the same depth and width as model.backbone")
        self.load_state_dict(loaded, strict=False)
        return LoadReport(str(weights), tuple(sorted(loaded)), {}, tuple(sorted(fresh)), unused)

    def _start_fresh(self) -> None:
        """Kaiming-normal convolutions, zero biases; extra stem channels orthogonal."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            self.conv1.weight.copy_(extend_stem(self.conv1.weight[:, :3], self.in_channels))


def _stage(block: type, in_channels: int, channels: int, count: int, stride: int, conv_bias: bool) -> nn.Sequential:
    first = block(in_channels, channels, stride, conv_bias)
    rest = (block(channels * block.expansion, channels, 1, conv_bias) for _ in range(count - 1))
    return nn.Sequential(first, *rest)


def extend_stem(weight: Tensor, channels: int, orthogonal: bool = True) -> Tensor:
    """Append input channels, orthogonal or zero, to a stem weight (C, c, 7, 7) until it has `channels`."""
    lacking = channels - weight.shape[1]
    if lacking <= 0:
        return weight
    extra = torch.zeros(weight.shape[0], lacking, *weight.shape[2:])
    if orthogonal:
        nn.init.orthogonal_(extra)
    return torch.cat([weight, extra.to(weight)], dim=1)


def find_weights(weights: str | Path, depth: int) -> dict[str, Tensor]:
    """Tensors under torchvision's names: "imagenet", the name of a file shipped with the package, or a path.

    Raises:
        InputError: if ImageNet weights cannot be fetched.
        FileNotFoundError: if there is no such file.
    """
    if weights == "imagenet":
        return _fetch_imagenet(depth)
    return read_file(shipped_weights(weights) or weights)


def _fetch_imagenet(depth: int) -> dict[str, Tensor]:
    from torchvision import models

    choice = models.get_model_weights(f"resnet{depth}")["IMAGENET1K_V1"]
    try:
        return choice.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise InputError(
            f"cannot fetch the ImageNet weights of ResNet-{depth} ({error}); "
            "set model.backbone.weights (in Python load_model(NAME, **{'backbone.weights': ...})) to a file with "
            "torchvision's names, or to null (None) to start fresh"
        ) from None
