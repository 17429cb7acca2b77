"""Floors of every table: what copying and label propagation reach without training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memvos.model.interface import Memory, MemoryFrame, Query, VOSModel

_LEAST = 1e-6


class CopyFirst(VOSModel):
    """Repeat the last mask in memory: the given one with `memory=first`."""

    stride = 1
    pad_to = 1
    needs_weights = False

    def encode(self, image: Tensor) -> None:
        """Nothing to see."""

    def memorize(self, query: Query, masks: Tensor) -> MemoryFrame:
        """Keep the masks (B, N, H, W) themselves as value (B, N, 1, H, W)."""
        key = masks.new_zeros(len(masks), 1, 1, *masks.shape[2:])
        value = masks.float().unsqueeze(2)
        return MemoryFrame(key, value, self.quality(value))

    def segment(self, query: Query, memory: Memory, previous: Tensor) -> Tensor:
        """Logits (B, N, H, W) of each object's newest mask."""
        masks = memory.value[:, :, 0]  # (B, N, M, H, W)
        times = torch.tensor(memory.times or range(masks.shape[2]), device=masks.device)
        valid = torch.ones_like(masks[..., 0, 0], dtype=torch.bool) if memory.valid is None else memory.valid
        newest = times.where(valid, -1).argmax(dim=2)
        chosen = newest[:, :, None, None, None].expand(-1, -1, 1, *masks.shape[3:])
        return masks.gather(2, chosen).squeeze(2).logit(eps=_LEAST)


class LabelPropagation(VOSModel):
    """Carry labels along the most similar features, without training; read with `memory=first_previous`.

    Args:
        backbone: gives features f8 and f16 of an image (`memvos.model.backbone.ResNet`); they are joined at stride 8
            and L2-normalised.
        top_k: memory positions a query position takes its label from.
        temperature: of the softmax over their cosine similarities.
        radius: memory positions farther away than this share of the longer side of the grid do not count.
    """

    stride = 8
    pad_to = 16
    needs_weights = False

    def __init__(self, backbone: nn.Module, top_k: int = 10, temperature: float = 0.05, radius: float = 0.2) -> None:
        super().__init__()
        self.backbone = backbone
        self.top_k = top_k
        self.temperature = temperature
        self.radius = radius

    def encode(self, image: Tensor) -> Tensor:
        """Unit features (B, C8 + C16, H/8, W/8)."""
        features = self.backbone(image)
        deep = F.interpolate(features.f16, features.f8.shape[2:], mode="bilinear", align_corners=False)
        return F.normalize(torch.cat([features.f8.float(), deep.float()], dim=1), dim=1)

    def memorize(self, query: Query, masks: Tensor) -> MemoryFrame:
        """Features as the key all objects share, masks (B, N, H, W) sampled at stride 8 as value (B, N, 1, h, w).

        Sampled at the centres, not averaged: an average of labels that were enlarged would blur them frame by frame.
        """
        value = F.interpolate(masks.float(), scale_factor=1 / self.stride, mode="bilinear").unsqueeze(2)
        return MemoryFrame(query.features.unsqueeze(1), value, self.quality(value))

    def segment(self, query: Query, memory: Memory, previous: Tensor) -> Tensor:
        """Logits (B, N, H, W) whose soft aggregation gives the propagated labels."""
        grid = query.features.shape[2:]
        keys = memory.key[:, 0].flatten(2).float()  # (B, C, P)
        with torch.autocast(keys.device.type, enabled=False):
            similarity = query.features.flatten(2).transpose(1, 2) @ keys / self.temperature  # (B, Q, P)
        frames = memory.key.shape[3]
        similarity = similarity.masked_fill(self._far(grid, frames, keys.device), -torch.inf).unsqueeze(1)
        if memory.valid is not None:
            readable = memory.valid.repeat_interleave(grid.numel(), dim=2)
            similarity = similarity.masked_fill(~readable.unsqueeze(2), -1e4)
        best, places = similarity.topk(min(self.top_k, similarity.shape[-1]), dim=-1)  # (B, N or 1, Q, k)
        weights = best.softmax(dim=-1)
        values = memory.value.float().flatten(2)  # (B, N, P), one channel
        places = places.expand(-1, values.shape[1], -1, -1)
        taken = values.gather(2, places.flatten(2)).view(*places.shape)
        labels = (weights * taken).sum(dim=-1).view(*values.shape[:2], *grid)
        image = F.interpolate(labels, query.image.shape[2:], mode="bilinear", align_corners=False)
        return invert_aggregation(image)

    def _far(self, grid: tuple[int, int], frames: int, device: torch.device) -> Tensor:
        """(Q, P) bool, memory positions outside the radius."""
        reach = self.radius * max(grid)
        rows, columns = (torch.arange(side, device=device) for side in grid)
        places = torch.cartesian_prod(rows, columns).float()
        return (torch.cdist(places, places) > reach).repeat(1, frames)


def invert_aggregation(probabilities: Tensor) -> Tensor:
    """Logits (B, N, H, W) whose sigmoid, after soft aggregation, gives these probabilities back.

    With object odds x_n = c·q_n the aggregated odds of the background are 1 / (Π(1 + c·q_n) - 1); they must be c·q_0,
    q_0 being what the objects leave. So c·q_0·(Π(1 + c·q_n) - 1) = 1, solved by Newton's method on its logarithm.

    Args:
        probabilities: (B, N, H, W) in [0, 1]; where objects sum to more than 1 they are scaled down.
    """
    objects = probabilities.float().clamp(min=_LEAST)
    objects = objects / objects.sum(dim=1, keepdim=True).clamp(min=1)
    background = (1 - objects.sum(dim=1, keepdim=True)).clamp(min=_LEAST)
    step = -0.5 * (background.log() + objects.amax(dim=1, keepdim=True).log())  # log c, exact for one object
    for _ in range(6):  # f(log c) = log of the left side is convex with a slope between 2 and N + 1
        odds = objects * step.exp()
        grown = torch.log1p(odds).sum(dim=1, keepdim=True).clamp(max=80)
        gain = torch.expm1(grown)
        slope = 1 + (odds / (1 + odds)).sum(dim=1, keepdim=True) * (gain + 1) / gain
        step = step - (step + background.log() + gain.log()) / slope
    return (objects.log() + step).clamp(-15, 15)
