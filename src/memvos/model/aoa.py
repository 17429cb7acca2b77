"""Adaptive object alignment (AOA): proposals translated towards a template. DMN-AOA §3.3, Eqs. 2 and 3.

Correspondences are cosines, sharpened by α and normalised over the positions that are read; they are computed by the
attention kernels of torch, which need not keep them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memvos.model.regions import group_norm

EPSILON = 1e-6


def unit(feature: Tensor) -> Tensor:
    """Features (..., D) over their norm, in float32; zeros stay zeros."""
    feature = feature.float()
    return feature / (feature.norm(dim=-1, keepdim=True) + EPSILON)


def correspond(wanted: Tensor, seen: Tensor, values: Tensor, alpha: float) -> Tensor:
    """Recompose `values` by the correspondences of what is wanted with what is seen (Eqs. 2 and 3).

    Args:
        wanted: (B, ..., P, D), what each result position looks like.
        seen: (B, ..., R, D).
        values: (B, ..., R, C) at the positions of `seen`.
        alpha: sharpness α.

    Returns:
        (B, ..., P, C) float32.
    """
    with torch.autocast(wanted.device.type, enabled=False):
        return F.scaled_dot_product_attention(
            unit(wanted).contiguous(), unit(seen).contiguous(), values.float().contiguous(), scale=alpha
        )


class Projector(nn.Module):
    """To the shared feature space: 3×3 – non-linearity – 3×3 (§3.3); one for templates, another for proposals.

    Args:
        channels: C of the object features.
        shared_channels: C_D.
    """

    def __init__(self, channels: int, shared_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, shared_channels, 3, padding=1),
            group_norm(shared_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(shared_channels, shared_channels, 3, padding=1),
        )

    def forward(self, feature: Tensor) -> Tensor:
        """(B, K, C, r, r) → (B, K, r·r, C_D), positions in rows."""
        projected = self.layers(feature.flatten(0, 1))
        return projected.flatten(2).transpose(1, 2).unflatten(0, feature.shape[:2])


class AdaptiveAlignment(nn.Module):
    """Every proposal recomposed at the positions of every template (Eqs. 2 and 3).

    Args:
        alpha: sharpness α; 100 is the temperature 0.01 of the works that the paper builds on.
        centre: subtract the mean over positions before the cosines.
    """

    def __init__(self, alpha: float = 100.0, centre: bool = False) -> None:
        super().__init__()
        self.alpha, self.centre = alpha, centre

    def forward(self, templates: Tensor, proposals: Tensor) -> Tensor:
        """Templates (B, N, P, D), proposals (B, K, P, D) → aligned proposals P'' (B, N, K, P, D)."""
        wanted, seen = self._centred(templates), self._centred(proposals)
        count = proposals.shape[1]
        objects = [
            correspond(wanted[:, n, None].expand(-1, count, -1, -1), seen, proposals, self.alpha)
            for n in range(templates.shape[1])
        ]
        return torch.stack(objects, dim=1)

    def _centred(self, feature: Tensor) -> Tensor:
        return feature - feature.mean(dim=2, keepdim=True) if self.centre else feature


class NoAlignment(nn.Module):
    """Proposals as they are, position by position: S is the identity (rows A1 and A2)."""

    def forward(self, templates: Tensor, proposals: Tensor) -> Tensor:
        """Templates (B, N, P, D), proposals (B, K, P, D) → (B, N, K, P, D)."""
        return proposals.unsqueeze(1).expand(-1, templates.shape[1], -1, -1, -1)


class MeanCosine(nn.Module):
    """Similarity of a template and an aligned proposal: the mean of their cosines over positions."""

    def forward(self, templates: Tensor, aligned: Tensor) -> Tensor:
        """Templates (B, N, P, D), aligned (B, N, K, P, D) → (B, N, K) in [-1, 1], float32."""
        return (unit(templates).unsqueeze(2) * unit(aligned)).sum(dim=-1).mean(dim=-1)


class FlatCosine(nn.Module):
    """Similarity: the cosine of all positions in one vector."""

    def forward(self, templates: Tensor, aligned: Tensor) -> Tensor:
        """Templates (B, N, P, D), aligned (B, N, K, P, D) → (B, N, K) in [-1, 1], float32."""
        return (unit(templates.flatten(2)).unsqueeze(2) * unit(aligned.flatten(3))).sum(dim=-1)


class PooledCosine(nn.Module):
    """Similarity: the cosine of the means over positions (DMM-Net)."""

    def forward(self, templates: Tensor, aligned: Tensor) -> Tensor:
        """Templates (B, N, P, D), aligned (B, N, K, P, D) → (B, N, K) in [-1, 1], float32."""
        return (unit(templates.float().mean(dim=2)).unsqueeze(2) * unit(aligned.float().mean(dim=3))).sum(dim=-1)
