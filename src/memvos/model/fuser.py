"""Feature fusion of STCN's value encoder, with the attention of CBAM (Woo et al., ECCV 2018, §3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memvos.model.decoder import ResidualBlock


class ChannelGate(nn.Module):
    """Weigh channels by what their mean and their maximum over the image say, through one small network.

    Args:
        channels: of the feature.
        reduction: of the hidden layer; at least one channel is left.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        views = torch.stack([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))])
        weights = self.fc2(F.relu(self.fc1(views))).sum(dim=0).sigmoid()
        return x * weights[:, :, None, None]


class SpatialGate(nn.Module):
    """Weigh places by the maximum and the mean over their channels, through a 7×7 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        views = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
        return x * self.conv(views).sigmoid()


class Fuser(nn.Module):
    """Join a feature of an object with that of its image: residual block, attention added to its input, residual block.

    Args:
        in_channels: of both features together.
        channels: of the output.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.block1 = ResidualBlock(in_channels, channels)
        self.channel_gate = ChannelGate(channels)
        self.spatial_gate = SpatialGate()
        self.block2 = ResidualBlock(channels, channels)

    def forward(self, feature: Tensor, image: Tensor) -> Tensor:
        """feature (B, N, C, h, w) of the objects, image (B, C', h, w) → (B, N, channels, h, w)."""
        batch, objects = feature.shape[:2]
        image = image.unsqueeze(1).expand(-1, objects, -1, -1, -1)
        x = self.block1(torch.cat([feature, image], dim=2).flatten(0, 1))
        x = self.block2(x + self.spatial_gate(self.channel_gate(x)))
        return x.unflatten(0, (batch, objects))
