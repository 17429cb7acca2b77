"""Object boxes and the features inside them. DMN-AOA §3.1 (ROI pooling of object features).

A box is (x0, y0, x1, y1) in pixels of the image, its far edges included in full. Boxes carry no gradient.
"""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

GROUPS = 32


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with 32 groups (DMN-AOA §4.1), or as many as divide narrower features."""
    return nn.GroupNorm(gcd(GROUPS, channels), channels)


def boxes_of(masks: Tensor, trim: float = 0.005) -> tuple[Tensor, Tensor]:
    """Boxes of aggregated masks, each around the pixels where its object wins.

    At each side at most the share `trim` of the object's pixels is left outside, so that a few stray pixels do not blow
    up a box; computed without a look from the host.

    Args:
        masks: (B, N, H, W) probabilities that leave the rest to the background.
        trim: share of the object's pixels.

    Returns:
        Boxes (B, N, 4), the whole image where an object wins no pixel; seen (B, N) bool, where it wins one.
    """
    background = (1 - masks.sum(dim=1, keepdim=True)).clamp(min=0)
    best = torch.maximum(masks.amax(dim=1, keepdim=True), background)
    winning = (masks >= best) & (masks > background) & (masks > 0)
    seen = winning.flatten(2).any(dim=2)
    x0, x1 = _extent(winning.sum(dim=2), trim)
    y0, y1 = _extent(winning.sum(dim=3), trim)
    whole = torch.tensor([0, 0, masks.shape[3], masks.shape[2]], device=masks.device, dtype=torch.float32)
    boxes = torch.stack([x0, y0, x1, y1], dim=-1).float()
    return torch.where(seen.unsqueeze(-1), boxes, whole), seen


def _extent(counts: Tensor, trim: float) -> tuple[Tensor, Tensor]:
    """First and behind-the-last index of counts (..., L) between the shares `trim` and 1 - `trim` of the sum."""
    total = counts.sum(dim=-1, keepdim=True)
    before = counts.cumsum(dim=-1)
    first = (before <= trim * total).sum(dim=-1)
    last = (before < (1 - trim) * total).sum(dim=-1) + 1
    return first.clamp(max=counts.shape[-1] - 1), last.clamp(max=counts.shape[-1])


def enlarge(boxes: Tensor, factor: float, size: tuple[int, int], least: float = 16.0) -> Tensor:
    """Enlarge boxes (..., 4) about their centres to at least `least` pixels a side, inside an image (H, W)."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = ((boxes[..., 2:] - boxes[..., :2]) * factor).clamp(min=least) / 2
    return _inside(torch.cat([centre - half, centre + half], dim=-1), size)


def jitter(boxes: Tensor, shift: float, scale: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """Move boxes (..., 4) by up to `shift` of their sides and scale these by a factor within `scale`, at random."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    sides = boxes[..., 2:] - boxes[..., :2]
    centre = centre + sides * torch.empty_like(sides).uniform_(-shift, shift)
    half = sides * torch.empty_like(sides).uniform_(*scale) / 2
    return _inside(torch.cat([centre - half, centre + half], dim=-1), size)


def _inside(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    edge = boxes.new_tensor([size[1], size[0], size[1], size[0]])
    boxes = torch.minimum(boxes.clamp(min=0), edge)
    least = torch.cat([torch.minimum(boxes[..., :2], edge[:2] - 1)] * 2, dim=-1)
    least[..., 2:] += 1
    return torch.cat([least[..., :2], torch.maximum(boxes[..., 2:], least[..., 2:])], dim=-1)


def pool(maps: Tensor, boxes: Tensor, grid: int, size: tuple[int, int]) -> Tensor:
    """Features inside boxes, in float32.

    Args:
        maps: (B, C, h, w) of an image (H, W) = `size`.
        boxes: (B, K, 4).
        grid: side r of the result.

    Returns:
        (B, K, C, r, r).
    """
    batch, count = boxes.shape[:2]
    index = torch.arange(batch, device=boxes.device, dtype=torch.float32).repeat_interleave(count)
    rois = torch.cat([index.unsqueeze(1), boxes.float().flatten(0, 1)], dim=1)
    with torch.autocast(maps.device.type, enabled=False):
        scaled = maps.float().contiguous()
        pooled = roi_align(scaled, rois, (grid, grid), maps.shape[-1] / size[1], sampling_ratio=2, aligned=True)
    return pooled.unflatten(0, (batch, count))


def pool_masks(masks: Tensor, boxes: Tensor, grid: int) -> Tensor:
    """Each object's own mask inside its box: masks (B, N, H, W), boxes (B, N, 4) → (B, N, 1, r, r)."""
    batch, objects, *size = masks.shape
    crops = pool(masks.flatten(0, 1).unsqueeze(1), boxes.flatten(0, 1).unsqueeze(1), grid, tuple(size))
    return crops.unflatten(0, (batch, objects)).squeeze(2)


class RegionFeatures(nn.Module):
    """Object features: every level pooled in the box, joined and fused by a 1×1 convolution.

    Args:
        level_channels: of the base features.
        channels: C of the result.
        grid: side r of the result; the paper leaves it open ("high-resolution object semantics").
    """

    def __init__(self, level_channels: tuple[int, ...], channels: int, grid: int = 28) -> None:
        super().__init__()
        self.grid = grid
        self.fuse = nn.Sequential(
            nn.Conv2d(sum(level_channels), channels, 1, bias=False), group_norm(channels), nn.ReLU(inplace=True)
        )

    def forward(self, features: tuple[Tensor, ...], boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Base features (B, C_i, h_i, w_i) of an image (H, W), boxes (B, K, 4) → (B, K, C, r, r)."""
        pooled = torch.cat([pool(level, boxes, self.grid, size) for level in features], dim=2)
        return self.fuse(pooled.flatten(0, 1)).unflatten(0, boxes.shape[:2])

    def whole(self, features: tuple[Tensor, ...]) -> Tensor:
        """The same features of whole frames on the grid of the coarsest level, (B, C, h, w)."""
        grid = features[-1].shape[-2:]
        return self.fuse(torch.cat([nn.functional.adaptive_avg_pool2d(level, grid) for level in features], dim=1))
