"""Encoders and key/value projections of every network here. QDMN §3.1, §3.2 (Enc_M = Enc_s), Fig. 2; STCN, Fig. 2."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memvos.model.backbone import Features, ResNet


class MemoryEncoder(nn.Module):
    """Encode an image with one object's mask and the sum of the others' (I ⊕ M ⊕ others); Enc_M and Enc_s in one.

    Args:
        trunk: a trunk with 5 input channels.
    """

    def __init__(self, trunk: ResNet) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, image: Tensor, masks: Tensor) -> Tensor:
        """Return f_m, (B, N, C, h, w).

        Args:
            image: (B, 3, H, W), normalised.
            masks: (B, N, H, W), probabilities in [0, 1].
        """
        objects = masks.shape[1]
        masks = masks.to(image.dtype)
        images = image.unsqueeze(1).expand(-1, objects, -1, -1, -1)
        stacked = torch.cat([images, masks.unsqueeze(2), sum_of_others(masks).unsqueeze(2)], dim=2)
        feature = self.trunk(stacked.flatten(0, 1).contiguous(memory_format=_layout(image))).f16
        return feature.unflatten(0, masks.shape[:2])


class QueryEncoder(nn.Module):
    """Encode an image without masks, once for all objects.

    Args:
        trunk: a trunk with 3 input channels.
    """

    def __init__(self, trunk: ResNet) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, image: Tensor) -> Features:
        """(B, 3, H, W) → f4, f8, f16."""
        return self.trunk(image)


class KeyValue(nn.Module):
    """Project a feature to a key, which is matched, and a value, which is read: two 3×3 convolutions."""

    def __init__(self, channels: int, key_channels: int, value_channels: int) -> None:
        super().__init__()
        self.key = nn.Conv2d(channels, key_channels, 3, padding=1)
        self.value = nn.Conv2d(channels, value_channels, 3, padding=1)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """(..., C, h, w) → key (..., Ck, h, w), value (..., Cv, h, w)."""
        flat, batch = feature.flatten(0, -4), feature.shape[:-3]
        return self.key(flat).unflatten(0, batch), self.value(flat).unflatten(0, batch)


def sum_of_others(masks: Tensor) -> Tensor:
    """For every object the sum of the other objects' masks, (B, N, H, W); zeros when N = 1."""
    if masks.shape[1] == 1:
        return torch.zeros_like(masks)
    return masks.sum(dim=1, keepdim=True) - masks


def _layout(image: Tensor) -> torch.memory_format:
    return (
        torch.channels_last
        if image.is_contiguous(memory_format=torch.channels_last) and not image.is_contiguous()
        else torch.contiguous_format
    )
