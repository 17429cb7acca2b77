"""DMN-AOA, without its memory: features, templates, matched proposals, refined masks. DMN-AOA §3, Fig. 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memvos.model.backbone import ResNet
from memvos.model.frozen import FrozenStatistics
from memvos.model.interface import Memory, MemoryFrame, Query, Reference, VOSModel
from memvos.model.matcher import Match, Targets
from memvos.model.memory_read import MemoryRead
from memvos.model.proposals import ProposalSource
from memvos.model.regions import RegionFeatures, boxes_of, enlarge, group_norm, jitter, pool_masks
from memvos.model.start import AsIs


class Segmentation(NamedTuple):
    """What the network made of a frame: logits (B, N, H, W) before soft aggregation, and how they came about."""

    logits: Tensor
    match: Match


class DMNAOA(VOSModel):
    """Base features, dynamic memory network, aligned matcher and RefineNet.

    Factories (partials in the configuration) get what depends on the sizes: `backbone(in_channels=…)`,
    `template(channels)`, `matcher(channels)`, `refine(channels of the levels)`, `quality(channels=…, grid=…)`.

    Args:
        backbone: ResNet factory; its batch norms are frozen altogether.
        proposals: where object proposals come from; not trained here, no part of the weights.
        template: DynamicMemory or FirstFrameTemplate factory.
        matcher: AlignedMatcher or TemplateDecoder factory.
        refine: RefineNet or CoarseMask factory.
        quality: AcceptAll or QualityHead factory; QAM can gate this memory, too (of the memory's values).
        read: the memory read (Eq. 1); softmax as published.
        level_channels: after the bottleneck layers, at strides 4, 8, 16 (8 where the backbone ends there).
        channels: C of object features; keys have C/4. STM's encoders, which the paper takes, have 512 and 128.
        grid: side r of object features.
        margin: factor by which an object's box is enlarged.
        least: smallest side of such a box, pixels.
        trim: share of an object's pixels that may lie outside at each side before, so that stray ones count little.
        shift: largest shift of the query's box while training, in shares of its sides.
        scale: range of factors of the query's box while training.
        start: what is done to fresh weights: AsIs or MatchedTemplates.
    """

    def __init__(
        self,
        backbone: Callable[..., ResNet],
        proposals: ProposalSource,
        template: Callable[[int], nn.Module],
        matcher: Callable[[int], nn.Module],
        refine: Callable[[tuple[int, ...]], nn.Module],
        quality: Callable[..., nn.Module],
        read: MemoryRead,
        level_channels: tuple[int, int, int] = (64, 128, 256),
        channels: int = 512,
        grid: int = 28,
        margin: float = 1.2,
        least: float = 16.0,
        trim: float = 0.005,
        shift: float = 0.1,
        scale: tuple[float, float] = (0.9, 1.3),
        start: Callable[[DMNAOA], None] = AsIs(),  # noqa: B008 (stateless)
    ) -> None:
        super().__init__()
        levels = tuple(level_channels)
        self.trunk = backbone(in_channels=3)
        for part in self.trunk.modules():
            if isinstance(part, FrozenStatistics):
                part.requires_grad_(False)
        self.stride = self.pad_to = 16
        self.bottlenecks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(wide, narrow, 1, bias=False), group_norm(narrow), nn.ReLU(inplace=True))
            for wide, narrow in zip(self.trunk.channels, levels, strict=True)
        )
        self.regions = RegionFeatures(levels, channels, grid)
        self.template = template(channels)
        self.matcher = matcher(channels)
        self.refine = refine(levels)
        self.quality = quality(channels=channels, grid=grid)
        self.read = read
        self.proposals = proposals
        self.grid, self.margin, self.least, self.trim = grid, margin, least, trim
        self.shift, self.scale = shift, tuple(scale)
        start(self)

    def encode(self, image: Tensor) -> tuple[Tensor, ...]:
        """Base features (B, C_i, h_i, w_i) of (B, 3, H, W), fine to coarse, shared by all objects."""
        return tuple(layer(seen) for layer, seen in zip(self.bottlenecks, self.trunk(image), strict=True))

    def memorize(self, query: Query, masks: Tensor) -> MemoryFrame:
        """Encode a frame's objects with their masks (B, N, H, W) as keys and values, and keep the frame as reference.

        Returns:
            A record with key (B, N, C/4, r, r) and value (B, N, C, r, r) on each object's own grid (row A4: on that of
            the frame), valid for the objects to be seen in it.
        """
        size = (query.image.shape[2], query.image.shape[3])
        boxes, seen = self._boxes(masks, size)
        if self.template.whole_frames:
            feature = self.regions.whole(query.features).unsqueeze(1).expand(-1, masks.shape[1], -1, -1, -1)
            inside = nn.functional.interpolate(masks.float(), feature.shape[-2:], mode="area").unsqueeze(2)
        else:
            feature = self.regions(query.features, boxes, size)
            inside = pool_masks(masks, boxes, self.grid)
        key, value = self.template.remember(feature, inside, query.place.offsets(masks.shape[1]))
        reference = Reference(tuple(query.features), masks)
        return MemoryFrame(key, value, self.quality(value), valid=seen, reference=reference)

    def segment(self, query: Query, memory: Memory, previous: Tensor) -> Tensor:
        """Return per-object logits (B, N, H, W), float32, before soft aggregation.

        Args:
            query: the frame; its proposals are asked for here.
            memory: the frames to read, with first and previous frame as references.
            previous: (B, N, H, W) aggregated probabilities of frame t-1, which say where to look.

        Raises:
            InputError: if the matcher needs proposals and no source of them is configured.
        """
        return self.follow(query, memory, previous).logits

    def follow(self, query: Query, memory: Memory, previous: Tensor) -> Segmentation:
        """As `segment`; returns what the matcher found, too."""
        stride = self.refine.mask_stride
        grid = (query.image.shape[2] // stride, query.image.shape[3] // stride)
        match = self.matcher(self.targets(query, memory, previous), query, self.regions, self.proposals, grid)
        return Segmentation(self.refine(query, match.coarse, memory), match)

    def targets(self, query: Query, memory: Memory, previous: Tensor) -> Targets:
        """Templates of the objects in the current frame (Eq. 1), and where to look for them.

        An object that was not seen in frame t-1 is looked for in the whole image.
        """
        size = (query.image.shape[2], query.image.shape[3])
        boxes = self._boxes(previous, size)[0]
        if self.training:
            boxes = jitter(boxes, self.shift, self.scale, size)
        feature = self.regions(query.features, boxes, size)
        templates = self.template.template(feature, query.place.offsets(previous.shape[1]), memory, self.read)
        everyone = torch.ones(previous.shape[:2], dtype=torch.bool, device=previous.device)
        return Targets(templates, boxes, everyone if memory.valid is None else memory.valid.any(dim=2), previous)

    def _boxes(self, masks: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Enlarged boxes (B, N, 4) of masks (B, N, H, W), and (B, N) which objects are seen."""
        boxes, seen = boxes_of(masks, self.trim)
        return enlarge(boxes, self.margin, size, self.least), seen
