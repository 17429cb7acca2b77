"""The aligned matcher: templates and proposals to coarse masks. DMN-AOA §3.1 and §3.3."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from memvos.model.aoa import Projector
from memvos.model.decoder import ResidualBlock
from memvos.model.interface import Query
from memvos.model.proposals import Proposals, ProposalSource, mask_ious
from memvos.model.regions import RegionFeatures, group_norm

IOU_THRESHOLD = 0.5


class Targets(NamedTuple):
    """The objects that are looked for in a frame.

    Attributes:
        templates: (B, N, C, r, r).
        boxes: (B, N, 4), where they were, enlarged; pixels.
        active: (B, N) bool, objects with a memory; the others take no proposal.
        previous: (B, N, H, W) masks of frame t-1.
    """

    templates: Tensor
    boxes: Tensor
    active: Tensor
    previous: Tensor


class Match(NamedTuple):
    """What the matcher found.

    Attributes:
        coarse: (B, N, h, w) coarse masks on the asked grid, in [0, 1].
        similarity: (B, N, K) in [-1, 1] of objects and proposals; None where no proposals are used.
        weights: (B, N, K) assignment; None where no proposals are used.
        proposals: of the frame; None where no proposals are used.
        masks: (B, K, h, w) the proposals' masks on that grid; None where no proposals are used.
    """

    coarse: Tensor
    similarity: Tensor | None = None
    weights: Tensor | None = None
    proposals: Proposals | None = None
    masks: Tensor | None = None


class AlignedMatcher(nn.Module):
    """Project templates and proposals, align, compare, assign, and sum the proposals' masks (§3.1).

    Args:
        channels: C of the object features.
        alignment: AdaptiveAlignment or NoAlignment.
        similarity: MeanCosine, FlatCosine or PooledCosine.
        solver: the matching layer.
        assignment: what is made of the layer's weights.
        shared_channels: C_D.
        margin: factor by which boxes of proposals are enlarged.
        iou_weight: share of the mask IoU with frame t-1 in the similarity; 0 in this paper, 0.3 in DMM-Net.
    """

    def __init__(
        self,
        channels: int,
        alignment: nn.Module,
        similarity: nn.Module,
        solver: nn.Module,
        assignment: nn.Module,
        shared_channels: int = 256,
        margin: float = 1.0,
        iou_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.template_projector = Projector(channels, shared_channels)
        self.proposal_projector = Projector(channels, shared_channels)
        self.alignment, self.similarity, self.solver, self.assignment = alignment, similarity, solver, assignment
        self.margin, self.iou_weight = margin, iou_weight

    def forward(
        self, targets: Targets, query: Query, regions: RegionFeatures, source: ProposalSource, grid: tuple[int, int]
    ) -> Match:
        """Find the targets among the proposals of a frame.

        Args:
            targets: the objects.
            query: the frame.
            regions: makes object features of boxes.
            source: of proposals.
            grid: (h, w) of the coarse masks.
        """
        proposals = Proposals.join([source(query.image, query.place)])  # at least one slot, be it an empty one
        size = (query.image.shape[2], query.image.shape[3])
        features = regions(query.features, self._boxes(proposals.boxes, size), size)
        similarity = self.compare(targets.templates, features)
        masks = proposals.paste(size, grid)
        weights = self.solver(self._mixed(similarity, targets.previous, masks), targets.active, proposals.valid)
        used = self.assignment(weights).to(masks.dtype)
        coarse = torch.einsum("bnk,bkhw->bnhw", used, masks)
        within = coarse + (coarse.clamp(0, 1) - coarse).detach()  # clamp has no gradient at 0 and 1: hard masks
        return Match(within, similarity, weights, proposals, masks)

    def compare(self, templates: Tensor, proposals: Tensor) -> Tensor:
        """Similarities (B, N, K) of templates (B, N, C, r, r) and proposals (B, K, C, r, r)."""
        wanted, seen = self.template_projector(templates), self.proposal_projector(proposals)
        with torch.autocast(wanted.device.type, enabled=False):
            wanted = wanted.float()
            return self.similarity(wanted, self.alignment(wanted, seen.float()))

    def match_projectors(self) -> None:
        """Start the fresh projectors equal, so that a template is most like proposals that look like it."""
        self.template_projector.load_state_dict(self.proposal_projector.state_dict())

    def _boxes(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        centre, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]).clamp(min=1) / 2
        return torch.cat([centre - half * self.margin, centre + half * self.margin], dim=-1)

    def _mixed(self, similarity: Tensor, previous: Tensor, masks: Tensor) -> Tensor:
        """(1 - λ) · cosine + λ · IoU with the masks of frame t-1 (DMM-Net); the IoU has no gradient."""
        if not self.iou_weight:
            return similarity
        before = nn.functional.interpolate(previous.float(), masks.shape[-2:], mode="bilinear", align_corners=False)
        overlap = mask_ious(before > IOU_THRESHOLD, masks > IOU_THRESHOLD)
        return (1 - self.iou_weight) * similarity + self.iou_weight * overlap


class TemplateDecoder(nn.Module):
    """No matcher: the coarse mask is decoded from the template and pasted where the object was (row A5).

    The paper does not say how it gets a mask without the matcher; this one cannot leave the enlarged box of frame t-1.

    Args:
        channels: C of the object features.
        width: of the two residual blocks.
    """

    def __init__(self, channels: int, width: int = 128) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            ResidualBlock(channels, width, group_norm), ResidualBlock(width, width, group_norm), nn.ReLU(inplace=True)
        )
        self.predict = nn.Conv2d(width, 1, 3, padding=1)

    def forward(
        self, targets: Targets, query: Query, regions: RegionFeatures, source: ProposalSource, grid: tuple[int, int]
    ) -> Match:
        """Decode the targets' masks; arguments as for `AlignedMatcher`, without use for the source."""
        decoded = self.blocks(targets.templates.flatten(0, 1))
        decoded = nn.functional.interpolate(decoded, scale_factor=2.0, mode="bilinear", align_corners=False)
        masks = self.predict(decoded).float().sigmoid().squeeze(1).unflatten(0, targets.active.shape)
        found = Proposals(targets.boxes, masks, torch.ones_like(masks[..., 0, 0]), targets.active)
        return Match(found.paste((query.image.shape[2], query.image.shape[3]), grid).clamp(0, 1))

    def match_projectors(self) -> None:
        """Nothing to do: there are none."""
