"""Prior enhancement module (PEM). QDMN §3.4, Eq. 5; strong variant §5.3 and Table 6."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NoPrior(nn.Module):
    """No PEM: the query feature as it is."""

    def __init__(self, channels: int = 0, middle_channels: int = 0, reduction: int = 2) -> None:
        super().__init__()

    def forward(self, feature: Tensor, previous_mask: Tensor, middle: Tensor | None = None) -> Tensor:
        """Return `feature`."""
        return feature


class WeakPrior(nn.Module):
    """Gate the query feature by the previous mask: f_e = sigmoid(Conv(f_t ⊕ M_{t-1})) ⊗ f_t (QDMN Eq. 5).

    Args:
        channels: C of the query feature.
        middle_channels, reduction: not used by this prior.
    """

    def __init__(self, channels: int, middle_channels: int = 0, reduction: int = 2) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels + 1, 1, 3, padding=1)

    def forward(self, feature: Tensor, previous_mask: Tensor, middle: Tensor | None = None) -> Tensor:
        """Return the enhanced query feature f_e.

        Args:
            feature: query feature f_t, (B, C, h, w).
            previous_mask: M_{t-1}, (B, 1, H, W), probability in [0, 1]; resized here.
            middle: not used by this prior.

        Raises:
            ValueError: if previous_mask does not have exactly one channel.
        """
        prior = _resized(previous_mask, feature.shape[-2:]).to(feature.dtype)
        gate = self.gate(torch.cat([feature, prior], dim=1)).sigmoid()
        return feature * gate


class StrongPrior(nn.Module):
    """Add what the previous mask and the middle-layer query feature say together to the deepest feature (Table 6).

    The paper describes this variant in words only; the layers are ours: the prior through three 3×3 convolutions of
    stride 2 (16, 32, 64 channels), joined with f8 by a 3×3, reduced to the grid of f16 by another.

    Args:
        channels: C of the query feature.
        middle_channels: of f8.
        reduction: stride from f8 to the query feature; 2 in the papers.
    """

    def __init__(self, channels: int, middle_channels: int, reduction: int = 2) -> None:
        super().__init__()
        self.mask1 = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.mask2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.mask3 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.join = nn.Conv2d(middle_channels + 64, middle_channels, 3, padding=1)
        self.reduce = nn.Conv2d(middle_channels, channels, 3, stride=reduction, padding=1)

    def forward(self, feature: Tensor, previous_mask: Tensor, middle: Tensor | None = None) -> Tensor:
        """Return the enhanced query feature f_e.

        Args:
            feature: query feature f_t, (B, C, h, w).
            previous_mask: M_{t-1}, (B, 1, H, W), probability in [0, 1].
            middle: f8, (B, C8, H/8, W/8).

        Raises:
            ValueError: if previous_mask does not have exactly one channel, or middle is missing.
        """
        if middle is None:
            raise ValueError("expected the middle feature f8 (B, C8, H/8, W/8), got None; StrongPrior fuses it")
        x = _resized(previous_mask, torch.Size(8 * n for n in middle.shape[-2:])).to(feature.dtype)
        for convolution in (self.mask1, self.mask2, self.mask3):
            x = F.relu(convolution(x), inplace=True)
        x = F.relu(self.join(torch.cat([middle, x.to(middle.dtype)], dim=1)), inplace=True)
        return feature + self.reduce(x)


def merge_objects(previous: Tensor) -> Tensor:
    """One prior for all objects: the largest probability, without gradient. (B, N, H, W) → (B, 1, H, W)."""
    return previous.detach().amax(dim=1, keepdim=True)


def _resized(mask: Tensor, size: torch.Size) -> Tensor:
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise ValueError(
            f"expected a previous mask (B, 1, H, W), got {tuple(mask.shape)}; merge the objects first (merge_objects)"
        )
    if mask.shape[-2:] == size:
        return mask
    return F.interpolate(mask.float(), size=size, mode="bilinear", align_corners=False)
