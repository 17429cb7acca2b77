"""Object proposals of a frame: boxes with small masks, chosen by score. DMN-AOA §3.1 (object proposal generator)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms, roi_align

from memvos.model.interface import Place


@dataclass(frozen=True)
class Proposals:
    """Object proposals of B images; images with fewer of them are filled up with invalid ones.

    Attributes:
        boxes: (B, K, 4) x0, y0, x1, y1 in pixels of the image.
        masks: (B, K, m, m) probabilities on a grid over the box.
        scores: (B, K) of the detector.
        valid: (B, K) bool.
    """

    boxes: Tensor
    masks: Tensor
    scores: Tensor
    valid: Tensor

    @classmethod
    def of_image(cls, boxes: Tensor, masks: Tensor, scores: Tensor) -> Proposals:
        """Proposals of one image: boxes (K, 4), masks (K, m, m), scores (K,).

        Raises:
            ValueError: if the shapes do not fit each other.
        """
        shapes = tuple(boxes.shape), tuple(masks.shape), tuple(scores.shape)
        count = scores.shape[0] if scores.ndim == 1 else -1
        if boxes.shape != (count, 4) or masks.ndim != 3 or masks.shape[0] != count or masks.shape[1] != masks.shape[2]:
            raise ValueError(f"expected boxes (K, 4), masks (K, m, m) and scores (K,), got {shapes}")
        valid = torch.ones(1, count, dtype=torch.bool, device=boxes.device)
        return cls(boxes.float().unsqueeze(0), masks.float().unsqueeze(0), scores.float().unsqueeze(0), valid)

    @classmethod
    def cut_out(cls, masks: Tensor, boxes: Tensor, scores: Tensor, grid: int) -> Proposals:
        """Proposals of one image from masks of its size: masks (K, H, W) of 0 and 1, boxes (K, 4), scores (K,)."""
        rois = [box.unsqueeze(0) for box in boxes]
        return cls.of_image(boxes, roi_align(masks.unsqueeze(1), rois, grid, aligned=True).squeeze(1), scores)

    @classmethod
    def none(cls, grid: int = 28, device: torch.device | str = "cpu") -> Proposals:
        """One image without any proposal."""
        return cls.of_image(*(torch.zeros(0, *shape, device=device) for shape in ((4,), (grid, grid), ())))

    @classmethod
    def join(cls, images: list[Proposals]) -> Proposals:
        """Put images side by side, filled up to the largest number of proposals, and at least one."""
        most = max(1, *(entry.valid.shape[1] for entry in images))
        return cls(*(torch.cat(part) for part in zip(*(entry._filled(most) for entry in images), strict=True)))

    def _filled(self, count: int) -> tuple[Tensor, ...]:
        lacking = count - self.valid.shape[1]
        whole = F.pad(self.boxes.new_zeros(len(self.boxes), lacking, 2), (0, 2), value=1.0)
        return (
            torch.cat([self.boxes, whole], dim=1),
            F.pad(self.masks, (0, 0, 0, 0, 0, lacking)),
            F.pad(self.scores, (0, lacking)),
            F.pad(self.valid, (0, lacking)),
        )

    def to(self, device: torch.device | str) -> Proposals:
        """Move the tensors."""
        return Proposals(*(tensor.to(device) for tensor in (self.boxes, self.masks, self.scores, self.valid)))

    def moved(self, scale: tuple[float, float], offset: tuple[float, float]) -> Proposals:
        """Boxes scaled by (x, y) and then moved by (x, y) pixels."""
        return replace(self, boxes=self.boxes * self.boxes.new_tensor(scale * 2) + self.boxes.new_tensor(offset * 2))

    def paste(self, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
        """Masks on a grid over images (H, W) = `size`: (B, K, h, w) probabilities, zero outside the boxes.

        One `grid_sample` for all of them; between the centres of a mask it interpolates, beyond the outermost ones it
        falls to zero within half a mask pixel, as detectors do when they paste.
        """
        batch, count, side = self.masks.shape[:3]
        x0, y0, x1, y1 = self.boxes.flatten(0, 1).unbind(dim=1)
        places = []
        for low, high, image, cells in ((x0, x1, size[1], grid[1]), (y0, y1, size[0], grid[0])):
            centres = (torch.arange(cells, device=low.device) + 0.5) * (image / cells)
            inside = (centres - low.unsqueeze(1)) / (high - low).clamp(min=1).unsqueeze(1)
            places.append(2 * inside - 1)  # (B·K, cells)
        columns, rows = places
        points = torch.stack(
            [columns.unsqueeze(1).expand(-1, grid[0], -1), rows.unsqueeze(2).expand(-1, -1, grid[1])], dim=-1
        )
        masks = self.masks.reshape(batch * count, 1, side, side)
        pasted = F.grid_sample(masks, points, mode="bilinear", padding_mode="zeros", align_corners=False)
        return pasted.view(batch, count, *grid) * self.valid[:, :, None, None]


class ProposalSource(Protocol):
    """Where proposals come from. Ground truth never does: without a source a model that needs one refuses to run.

    Any callable of this form is a source.
    """

    def __call__(self, image: Tensor, place: Place) -> Proposals:
        """Proposals of images (B, 3, H, W), normalised, in their pixels; `place` names them for sources on disk."""


def select(proposals: Proposals, most: int = 30, overlap: float = 0.4, threshold: float = 0.5) -> Proposals:
    """Choose proposals of one image: class-agnostic suppression of tight boxes, then the best scores.

    Args:
        proposals: of one image.
        most: proposals to keep, 30 in the paper (§3.1).
        overlap: largest box IoU of two kept proposals, 0.4 in the paper (§4.1); None keeps all.
        threshold: of the masks, for tight boxes; a proposal without a pixel above it is dropped.
    """
    boxes, masks, scores = proposals.boxes[0], proposals.masks[0], proposals.scores[0]
    some = (masks > threshold).flatten(1).any(dim=1) & proposals.valid[0]
    boxes, masks, scores = boxes[some], masks[some], scores[some]
    kept = (
        nms(tight(boxes, masks, threshold), scores, overlap) if overlap is not None else scores.argsort(descending=True)
    )
    kept = kept[:most]
    return Proposals.of_image(boxes[kept], masks[kept], scores[kept])


def tight(boxes: Tensor, masks: Tensor, threshold: float = 0.5) -> Tensor:
    """Boxes (K, 4) shrunk to the cells of masks (K, m, m) above the threshold; each must have one."""
    side = masks.shape[-1]
    inside = masks > threshold
    spans = []
    for axis in (1, 2):
        cells = inside.any(dim=axis).int()  # (K, m) columns, then rows
        spans.append((cells.argmax(dim=1), side - cells.flip(1).argmax(dim=1)))
    (x0, x1), (y0, y1) = spans
    step = (boxes[:, 2:] - boxes[:, :2]) / side
    low = boxes[:, :2] + torch.stack([x0, y0], dim=1) * step
    return torch.cat([low, boxes[:, :2] + torch.stack([x1, y1], dim=1) * step], dim=1)


def recall(proposals: Proposals, masks: Tensor, least: tuple[float, ...] = (0.5, 0.7)) -> tuple[dict[float, int], int]:
    """How many true objects some proposal covers: what bounds a model that only chooses among proposals.

    Args:
        proposals: of B images.
        masks: (B, N, H, W) true masks of 0 and 1; empty ones do not count.
        least: mask IoU that a proposal must reach.

    Returns:
        The number of covered objects for each IoU, and the number of objects.
    """
    size, truth = (masks.shape[2], masks.shape[3]), masks > 0.5
    best = mask_ious(truth, Proposals.join([proposals]).paste(size, size) > 0.5).amax(dim=2)
    there = truth.flatten(2).any(dim=2)
    return {iou: int((best[there] >= iou).sum()) for iou in least}, int(there.sum())


def mask_ious(first: Tensor, second: Tensor) -> Tensor:
    """IoU of each of (B, N, H, W) with each of (B, K, H, W), bool: (B, N, K); 0 of two empty masks."""
    first, second = first.flatten(2).float(), second.flatten(2).float()
    overlap = first @ second.transpose(1, 2)
    union = first.sum(dim=2).unsqueeze(2) + second.sum(dim=2).unsqueeze(1) - overlap
    return overlap / union.clamp(min=1)
