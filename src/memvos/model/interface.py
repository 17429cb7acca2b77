"""What every VOS model of the suite is: `VOSModel` with the verbs memorize and segment, and the records they exchange.

A model holds no memory (that is `memvos.memory`) and knows no time (that is `memvos.decode`). Shapes follow the axis
legend of `memvos.data.clip`. Objects are flattened into the batch inside a model; every tensor here keeps (B, N).
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from memvos.errors import InputError
from memvos.model.qam import AcceptAll


@dataclass(frozen=True)
class Place:
    """Where an image comes from, for models that ask: a position in time, a detector's results kept in files.

    Attributes:
        time: index of the frame in its video, counted from the first; for clips that were joined (B,).
        names: (video, frame) of each of the B images; empty where nobody knows.
        window: x0, y0, x1, y1, in pixels of the image, of the part that shows the frame (the rest is padding); None is
            the whole image.
        since: for each object the time of the frame with which it was first given; empty where all came with frame 0.
    """

    time: int | Tensor = 0
    names: tuple[tuple[str, str], ...] = ()
    window: tuple[float, float, float, float] | None = None
    since: tuple[int, ...] = ()

    def offsets(self, objects: int) -> int | Tensor:
        """Frames since the first `objects` objects were given: one number for all, (B,) for clips, or (1, N)."""
        since = self.since[:objects]
        return torch.tensor([[self.time - first for first in since]]) if any(since) else self.time


NOWHERE = Place()


@dataclass(frozen=True)
class Reference:
    """A past frame that a model compares with the current one, whatever the memory keeps of it (DMN-AOA §3.1).

    Attributes:
        features: feature maps (B, C, h, w), one per level.
        masks: (B, N, H, W) the frame's masks.
    """

    features: tuple[Tensor, ...]
    masks: Tensor


@dataclass(frozen=True)
class MemoryFrame:
    """One record of the memory bank: what a model remembers of one frame, and the frame's place in time.

    Attributes:
        key: (B, N or 1, Ck, h, w); one object channel when all objects share the key (STCN).
        value: (B, N, Cv, h, w).
        quality: (B, N) predicted quality score S^A of the masks (QDMN Eq. 1); 1 where no QAM scores them.
        time: index of the frame in its video.
        valid: (B, N) bool, which objects this record describes; None means all. An object that enters the video later
            is absent from earlier records.
        feature: (B, N, C, h, w), the memory feature f_m that key and value are made of, which QAM looks at; None where
            the value itself is that. The bank does not keep it.
        reference: the frame as a reference; None for models that compare with no frame.
    """

    key: Tensor
    value: Tensor
    quality: Tensor
    time: int = 0
    valid: Tensor | None = None
    feature: Tensor | None = None
    reference: Reference | None = None


@dataclass(frozen=True)
class Memory:
    """What a memory read sees: M frames.

    Attributes:
        key: (B, N or 1, Ck, M, h, w).
        value: (B, N, Cv, M, h, w).
        valid: (B, N, M) bool, which frames an object may read; None means all.
        first: the frames with which objects were first given, where the model's records carry references.
        first_of: for each of the N objects the index of its frame in `first`.
        previous: frame t-1, where the model's records carry references.
        times: index of each frame in its video; empty where the frames are in order of time.
    """

    key: Tensor
    value: Tensor
    valid: Tensor | None = None
    first: tuple[Reference, ...] = ()
    first_of: tuple[int, ...] = ()
    previous: Reference | None = None
    times: tuple[int, ...] = ()

    @classmethod
    def stack(cls, frames: list[MemoryFrame]) -> Memory:
        """Join records into one memory (training clips; the bank of `memvos.memory` preallocates instead)."""
        if not frames:
            raise ValueError("a memory needs at least one frame, got none; memorize the annotated frame first")
        valid = None
        if any(frame.valid is not None for frame in frames):
            every = torch.ones_like(frames[0].quality, dtype=torch.bool)
            valid = torch.stack([every if frame.valid is None else frame.valid for frame in frames], dim=2)
        references = [frame.reference for frame in frames if frame.reference is not None]
        return cls(
            torch.stack([frame.key for frame in frames], dim=3),
            torch.stack([frame.value for frame in frames], dim=3),
            valid,
            tuple(references[:1]),
            (0,) * frames[0].value.shape[1] if references else (),
            references[-1] if references else None,
        )


class Query:
    """One frame on its way through a model: the image, and its features computed once, when first asked for.

    `image` is (B, 3, H, W), normalised, H and W multiples of the model's stride; `place` says where it comes from.
    """

    def __init__(self, image: Tensor, encode: Callable[[Tensor], Any], place: Place = NOWHERE) -> None:
        self.image = image
        self.place = place
        self._encode = encode

    @cached_property
    def features(self) -> Any:
        """Whatever the model's query encoder returns for the image."""
        return self._encode(self.image)

    def without_gradient(self) -> Query:
        """The same frame, whose features (a tensor, or nested tuples of them) pass no gradient on."""
        return Query(self.image, lambda _: _detached(self.features), self.place)


def _detached(features: Any) -> Any:
    if isinstance(features, tuple):
        parts = map(_detached, features)
        return type(features)(*parts) if hasattr(features, "_fields") else tuple(parts)
    return features.detach() if isinstance(features, Tensor) else features


class VOSModel(nn.Module, ABC):
    """A network that segments a frame by reading a memory of past frames (STM and its descendants).

    Attributes:
        stride: image pixels per step of the memory grid; image sizes must be multiples of `pad_to`.
        pad_to: image height and width must be multiples of this.
        needs_weights: it is of no use before it is trained; False for what works as its configuration starts it.
        named_by: places of its configuration whose kind of part goes into the network's name: STM, KMN and MiVOS differ
            by the read alone, and weights of one, loaded under the name of another, are read as that one reads.
        quality: the part that predicts quality scores; `AcceptAll` unless a network brings QAM.
    """

    stride: int = 16
    pad_to: int = 16
    needs_weights: bool = True
    named_by: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.quality: nn.Module = AcceptAll()

    def having(self, **parts: nn.Module) -> VOSModel:
        """A twin with other parts under these names, which shares all else; this network stays as it is."""
        twin = copy.copy(self)
        twin.__dict__["_modules"] = {**self._modules, **parts}
        return twin

    def query(self, image: Tensor, place: Place = NOWHERE) -> Query:
        """Wrap (B, 3, H, W) so that its features are computed at most once for both verbs."""
        height, width = image.shape[-2:]
        if height % self.pad_to or width % self.pad_to:
            raise InputError(
                f"expected image height and width in multiples of {self.pad_to}, got {height}×{width}; "
                "pad the image (memvos.Segmenter does); training clips are of data.size"
            )
        return Query(image, self.encode, place)

    @abstractmethod
    def encode(self, image: Tensor) -> Any:
        """Query features of (B, 3, H, W), before any prior."""

    @abstractmethod
    def memorize(self, query: Query, masks: Tensor) -> MemoryFrame:
        """Encode the frame with its masks (B, N, H, W), probabilities in [0, 1], as a memory record."""

    @abstractmethod
    def segment(self, query: Query, memory: Memory, previous: Tensor) -> Tensor:
        """Return per-object logits (B, N, H, W), before soft aggregation.

        Args:
            query: the frame.
            memory: the frames to read.
            previous: (B, N, H, W) aggregated probabilities of frame t-1; used by models with a prior.
        """

    def follow(self, query: Query, memory: Memory, previous: Tensor) -> tuple[Tensor, Any]:
        """As `segment`, for training: the logits, and what else the model found that a loss may supervise, or None."""
        return self.segment(query, memory, previous), None
