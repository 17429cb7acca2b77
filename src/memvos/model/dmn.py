"""Dynamic memory network (DMN): an object's template, read from all its memories. DMN-AOA §3.2, Eq. 1.

A template maker has two verbs: `remember`, an object feature with its mask to what the bank keeps, and `template`, the
object feature of the current frame and the memory to the template. `whole_frames` says what it remembers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from memvos.model.encoders import KeyValue
from memvos.model.interface import Memory
from memvos.model.memory_read import MemoryRead


class SinusoidalPosition(nn.Module):
    """Positional embedding of a frame's offset to the first frame (§3.2; sines and cosines as in the Transformer).

    Args:
        channels: C.
        longest: largest offset that is told apart; None is any. Training clips are short, videos are not.
        scale: amplitude. At 1, as in the Transformer, it outweighs object features that have not learned to stand out.
    """

    def __init__(self, channels: int, longest: int | None = None, scale: float = 1.0) -> None:
        super().__init__()
        self.longest, self.scale = longest, scale
        steps = torch.arange((channels + 1) // 2) * (2 / channels)
        self.register_buffer("frequencies", torch.exp(-math.log(10_000.0) * steps), persistent=False)
        self.channels = channels

    def forward(self, feature: Tensor, time: int | Tensor) -> Tensor:
        """Add the embedding to features (B, N, C, h, w); `time` in frames, one for all, (B,), or (B, N)."""
        offset = torch.as_tensor(time, dtype=torch.float32, device=feature.device)
        if self.longest is not None:
            offset = offset.clamp(max=self.longest)
        angles = offset.reshape(*offset.shape, *[1] * (3 - offset.ndim)) * self.frequencies  # (B or 1, N or 1, C/2)
        embedding = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(2)[:, :, : self.channels]
        return feature + self.scale * embedding[..., None, None].to(feature.dtype)


class NoPosition(nn.Module):
    """No embedding: frames are not told apart by time."""

    def __init__(self, channels: int = 0) -> None:
        super().__init__()

    def forward(self, feature: Tensor, time: int | Tensor) -> Tensor:
        """The feature itself."""
        return feature


class DynamicMemory(nn.Module):
    """Object-specific memories, read by the current object feature (Eq. 1): T = softmax(Q ∘ K / √(C/4)) ∘ V.

    Keys have C/4 channels and values C, as printed.

    Args:
        channels: C of the object features.
        position: makes the embedding of time from the number of channels.
        whole_frames: remember whole frames on the coarsest grid in place of objects (row A4, FrameMem); the query stays
            the object.
    """

    def __init__(
        self, channels: int, position: Callable[[int], nn.Module] = SinusoidalPosition, whole_frames: bool = False
    ) -> None:
        super().__init__()
        self.whole_frames = whole_frames
        self.position = position(channels)
        self.memory_projection = KeyValue(channels + 1, channels // 4, channels)
        self.query_projection = nn.Conv2d(channels, channels // 4, 3, padding=1)

    def remember(self, feature: Tensor, masks: Tensor, time: int | Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, N, C, h, w) and masks (B, N, 1, h, w) → key (B, N, C/4, h, w), value (B, N, C, h, w)."""
        feature = self.position(feature, time)
        joined = torch.cat([feature, masks.to(feature.dtype)], dim=2)
        key, value = self.memory_projection(joined.flatten(0, 1))
        return key.unflatten(0, joined.shape[:2]), value.unflatten(0, joined.shape[:2])

    def template(self, feature: Tensor, time: int | Tensor, memory: Memory, read: MemoryRead) -> Tensor:
        """Object features of the current frame (B, N, C, r, r) → templates (B, N, C, r, r)."""
        query = self.query_projection(self.position(feature, time).flatten(0, 1))
        return read(query.unflatten(0, feature.shape[:2]), memory)

    def match(self, feature: Tensor, deviation: float) -> None:
        """Give fresh keys the weights of the query, centred and scaled, and let fresh values be much like the features.

        Args:
            feature: of any images, (B, N, C, h, w).
            deviation: that similarities over positions then have, on average.
        """
        self._match_keys(feature, deviation)
        value = self.memory_projection.value
        value.weight.mul_(0.1)
        value.bias.mul_(0.1)
        value.weight[:, : value.out_channels, 1, 1] += torch.eye(value.out_channels)

    def _match_keys(self, feature: Tensor, deviation: float) -> None:
        query, key = self.query_projection, self.memory_projection.key
        feature = feature.flatten(0, 1)
        query.bias.sub_(query(feature).mean(dim=(0, 2, 3)))
        key.weight[:, : query.in_channels] = query.weight
        key.bias.copy_(query.bias)
        seen = query(feature).flatten(2)
        similarity = seen.transpose(1, 2) @ seen / seen.shape[1] ** 0.5
        scale = (deviation / similarity.std(dim=-1).mean()).sqrt()
        for convolution in (query, key):
            convolution.weight.mul_(scale)
            convolution.bias.mul_(scale)


class FirstFrameTemplate(nn.Module):
    """No memory network: the template is the object feature of the first frame, fixed (rows A1 and A3)."""

    whole_frames = False

    def __init__(self, channels: int = 0) -> None:
        super().__init__()
        self.memory_projection = nn.ModuleDict({"key": nn.Identity(), "value": nn.Identity()})  # learns nothing
        self.query_projection = nn.Identity()

    def remember(self, feature: Tensor, masks: Tensor, time: int | Tensor) -> tuple[Tensor, Tensor]:
        """An empty key (B, N, 1, r, r), and the features themselves as value (B, N, C, r, r)."""
        return torch.zeros_like(feature[:, :, :1]), self.memory_projection["value"](feature)

    def template(self, feature: Tensor, time: int | Tensor, memory: Memory, read: MemoryRead) -> Tensor:
        """The value of each object's earliest valid frame, (B, N, C, r, r); zeros where it has none."""
        times = memory.times or tuple(range(memory.value.shape[3]))
        if memory.valid is None:
            return memory.value[:, :, :, times.index(min(times))]
        readable = torch.tensor(times, device=memory.value.device).masked_fill(~memory.valid, max(times) + 1)
        first = readable.argmin(dim=2)
        index = first[:, :, None, None, None, None].expand(-1, -1, memory.value.shape[2], 1, *memory.value.shape[4:])
        chosen = memory.value.gather(3, index).squeeze(3)
        return chosen * memory.valid.any(dim=2)[:, :, None, None, None]

    def match(self, feature: Tensor, deviation: float) -> None:
        """Nothing to do: there are no keys, and values are the features."""
