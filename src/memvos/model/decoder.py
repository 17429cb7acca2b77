"""ASPP and the upsampling decoder. QDMN §3.5; blocks as in STM, with one prediction channel per object."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memvos.model.backbone import Features
from memvos.model.frozen import FrozenStatistics, convolve


class ResidualBlock(nn.Module):
    """relu → 3×3 → relu → 3×3, plus the input, or a 3×3 convolution of it where the channels differ.

    Args:
        in_channels: of the input.
        channels: of the output.
        norm: makes the norm of so many channels that comes before each relu (DMN-AOA); none in STM and its kin.
    """

    def __init__(
        self, in_channels: int, channels: int, norm: Callable[[int], nn.Module] = lambda channels: nn.Identity()
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(in_channels), norm(channels)
        self.shortcut = nn.Identity() if in_channels == channels else nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) → (B, channels, h, w)."""
        return self.shortcut(x) + self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x)))), inplace=True))


class Branch(nn.Module):
    """Convolution, batch norm, ReLU: one view of the ASPP; rate 0 means a 1×1 convolution."""

    def __init__(self, in_channels: int, channels: int, rate: int = 0) -> None:
        super().__init__()
        size = 3 if rate else 1
        self.conv = nn.Conv2d(in_channels, channels, size, padding=rate, dilation=max(rate, 1), bias=False)
        self.bn = FrozenStatistics(channels)
        nn.init.kaiming_normal_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) → (B, channels, h, w)."""
        return F.relu(convolve(x, self.conv, self.bn), inplace=True)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: views at several dilation rates and of the whole image, fused by a 1×1.

    Args:
        channels: of the input and the output.
        branch_channels: of each view; 256 in the released network.
        rates: dilation rates, in steps of the memory grid.
    """

    def __init__(self, channels: int, branch_channels: int = 256, rates: tuple[int, ...] = (6, 12, 18)) -> None:
        super().__init__()
        self.rates = rates
        self.views = nn.ModuleList(Branch(channels, branch_channels, rate) for rate in (0, *rates))
        self.whole = Branch(channels, branch_channels)
        self.fuse = Branch(branch_channels * (len(self.views) + 1), channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        whole = self.whole(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.fuse(torch.cat([*(view(x) for view in self.views), whole], dim=1))


class UpBlock(nn.Module):
    """Enlarge a feature to the size of a skip feature of the query encoder, and add that.

    Args:
        skip_channels: of the skip feature.
        in_channels: of the coarser feature.
        channels: of the output.
        skip_block: refine the skip feature by a residual block (QDMN, MiVOS) or not (STCN).
    """

    def __init__(self, skip_channels: int, in_channels: int, channels: int, skip_block: bool = True) -> None:
        super().__init__()
        self.skip = nn.Conv2d(skip_channels, in_channels, 3, padding=1)
        self.skip_block = ResidualBlock(in_channels, in_channels) if skip_block else nn.Identity()
        self.block = ResidualBlock(in_channels, channels)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """skip (B, skip_channels, h, w), coarse (B·N, in_channels, h', w') → (B·N, channels, h, w).

        The skip feature goes through its convolutions once per image and is broadcast over the objects.
        """
        skip = self.skip_block(self.skip(skip))
        if coarse.shape[-2:] != skip.shape[-2:]:
            coarse = F.interpolate(coarse, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        if skip.shape[0] != 1 and skip.shape[0] != coarse.shape[0]:
            coarse = coarse.unflatten(0, (skip.shape[0], -1)) + skip.unsqueeze(1)
            return self.block(coarse.flatten(0, 1))
        return self.block(coarse + skip)


class Decoder(nn.Module):
    """Residual block, two up blocks, one logit per pixel.

    Args:
        in_channels: of the read-out and query value together; 1024 in the papers.
        skip_channels: (C4, C8) of the query encoder.
        width: channels at stride 4; twice that at the coarsest; 256 in the papers.
        skip_block: see UpBlock.
    """

    def __init__(
        self, in_channels: int, skip_channels: tuple[int, int], width: int = 256, skip_block: bool = True
    ) -> None:
        super().__init__()
        c4, c8 = skip_channels
        self.compress = ResidualBlock(in_channels, 2 * width)
        self.up8 = UpBlock(c8, 2 * width, width, skip_block)
        self.up4 = UpBlock(c4, width, width, skip_block)
        self.predict = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, readout: Tensor, features: Features) -> Tensor:
        """readout (B·N, C, h, w), features of B images → logits (B, N, H, W), float32."""
        x = self.up8(features.f8, self.compress(readout))
        x = self.up4(features.f4, x)
        logits = self.predict(F.relu(x, inplace=True)).float()
        logits = F.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
        return logits.view(features.f8.shape[0], -1, *logits.shape[2:])


def join(readout: Tensor, value: Tensor) -> Tensor:
    """What the memory says beside what the query says, objects in the batch: the input of the decoder.

    Args:
        readout: (B, N, Cv, h, w).
        value: of the query, (B, Cv, h, w), for all objects.

    Returns:
        (B·N, 2 Cv, h, w).
    """
    return torch.cat([readout, value.unsqueeze(1).expand_as(readout)], dim=2).flatten(0, 1)
