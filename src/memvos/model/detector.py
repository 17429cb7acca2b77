"""Instance segmentation networks that propose objects: torchvision's, and a small class-agnostic one. DMN-AOA §3.1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import (
    MaskRCNN,
    maskrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn_v2,
)
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from memvos.data.clip import IMAGENET_MEAN, IMAGENET_STD
from memvos.errors import InputError
from memvos.model.backbone import ResNet
from memvos.model.state_files import abridged, check_kinds, read_file

CLASSES = 2
"""Background and object."""
VERSIONS = {1: maskrcnn_resnet50_fpn, 2: maskrcnn_resnet50_fpn_v2}


class _SmallMasks(GeneralizedRCNNTransform):
    """torchvision's resizing, or none, without the pasting of masks: results keep (K, 1, m, m) masks on their boxes."""

    resizes = True

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Scale an image (3, H, W) and its target, if the network wants that."""
        return super().resize(image, target) if self.resizes else (image, target)

    def postprocess(
        self, result: list[dict[str, Tensor]], image_shapes: list[tuple[int, int]], original: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Boxes back in pixels of the images that came in."""
        if self.training:
            return result
        for found, shape, size in zip(result, image_shapes, original, strict=True):
            found["boxes"] = resize_boxes(found["boxes"], shape, size)
        return result


class PyramidTrunk(nn.Module):
    """A trunk's features at strides 4, 8 and 16, and half of the last, as a feature pyramid for torchvision's heads."""

    def __init__(self, trunk: ResNet, channels: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.pyramid = FeaturePyramidNetwork(list(trunk.channels), channels, LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) → {level: (B, channels, h, w)}, fine to coarse."""
        return self.pyramid({str(level): feature for level, feature in enumerate(self.trunk(image))})


class Detector(nn.Module):
    """A small class-agnostic Mask R-CNN, to be trained on the suite's own clips.

    Args:
        backbone: ResNet factory with output stride 16; the paper's detector has a ResNeXt-101.
        width: channels of the pyramid and of the mask head.
        hidden: of the box head.
        anchors: sides of the anchors in pixels, one for each of the four levels.
        proposals: regions that the heads look at, per image.
        most: detections per image.
        score: least score of a detection.
    """

    def __init__(
        self,
        backbone: Callable[..., ResNet],
        width: int = 64,
        hidden: int = 128,
        anchors: tuple[int, ...] = (12, 24, 48, 96),
        proposals: int = 100,
        most: int = 50,
        score: float = 0.02,
    ) -> None:
        super().__init__()
        trunk = PyramidTrunk(backbone(in_channels=3), width)
        self.detector = MaskRCNN(
            trunk,
            rpn_anchor_generator=AnchorGenerator(tuple((side,) for side in anchors), ((0.5, 1.0, 2.0),) * len(anchors)),
            rpn_pre_nms_top_n_train=4 * proposals,
            rpn_pre_nms_top_n_test=2 * proposals,
            rpn_post_nms_top_n_train=2 * proposals,
            rpn_post_nms_top_n_test=proposals,
            box_head=TwoMLPHead(width * 49, hidden),
            box_predictor=FastRCNNPredictor(hidden, CLASSES),
            mask_head=MaskRCNNHeads(width, (width, width), 1),
            mask_predictor=MaskRCNNPredictor(width, width, CLASSES),
            box_batch_size_per_image=64,
            box_score_thresh=score,
            box_nms_thresh=0.6,
            box_detections_per_img=most,
        )
        self.detector.transform = _SmallMasks(0, 0, IMAGENET_MEAN, IMAGENET_STD)
        self.detector.transform.resizes = False

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        """Detect in images [(3, H, W)] in 0 … 1.

        Returns:
            In training the losses by name, of targets with boxes (N, 4), labels (N,) and masks (N, H, W); else for
            every image boxes (K, 4), scores (K,), falling, and masks (K, 1, 28, 28) on the boxes' grids.
        """
        return self.detector(images, targets)

    def load(self, checkpoint: str | Path) -> None:
        """Load the checkpoint of a training (experiment=proposals) or a state of this network; every tensor must fit.

        Raises:
            InputError: if the file is not of such a detector.
            FileNotFoundError: if there is no such file.
        """
        content = read_file(checkpoint)
        content.pop("__metadata__", None)
        if isinstance(content.get("state_dict"), dict):
            content = {key.removeprefix("model."): value for key, value in content["state_dict"].items()}
        fit_strictly(self, content, checkpoint)


class PublishedDetector(nn.Module):
    """torchvision's Mask R-CNN on ResNet-50-FPN with its COCO weights, the stand-in for the paper's ResNeXt-101.

    Args:
        version: 1 or 2; 2 is the stronger (mask AP 41.8; the paper's detector about 39).
        short_side: images are scaled to this many pixels; torchvision's 800 enlarges DAVIS.
        most: detections per image, before suppression across classes.
        score: least score of a detection.

    Raises:
        InputError: if there is no such version.
    """

    def __init__(self, version: int = 2, short_side: int = 480, most: int = 100, score: float = 0.01) -> None:
        super().__init__()
        if version not in VERSIONS:
            raise InputError(f"unknown version {version} of torchvision's Mask R-CNN; expected 1 or 2")
        self.detector = VERSIONS[version](
            weights=None,
            weights_backbone=None,
            box_score_thresh=score,
            box_detections_per_img=most,
            min_size=short_side,
            max_size=2 * short_side,
        )
        transform = self.detector.transform
        self.detector.transform = _SmallMasks(
            transform.min_size, transform.max_size, transform.image_mean, transform.image_std
        )
        self.version = version

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        """As `Detector.forward` outside training; classes are not told apart."""
        return self.detector(images)

    def load(self, checkpoint: str | Path) -> None:
        """Load torchvision's file, e.g. maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth; every tensor must fit.

        Raises:
            InputError: if the file is not of this network.
            FileNotFoundError: if there is no such file.
        """
        content = read_file(checkpoint)
        counters = {
            name: value for name, value in self.detector.state_dict().items() if name.endswith("num_batches_tracked")
        }
        fit_strictly(self.detector, {**counters, **content}, checkpoint)
        if self.version == 1:  # was trained so; torchvision only does this when it fetches the weights itself
            for part in self.detector.backbone.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eps = 0.0


def fit_strictly(network: nn.Module, content: dict[str, Any], source: str | Path) -> None:
    """Load tensors of the same names, kinds and shapes.

    Raises:
        InputError: if a name is missing or unknown, or a kind of number or a shape differs.
    """
    own = network.state_dict()
    shared = {name: content[name] for name in own if name in content}
    check_kinds(shared, own, str(source))
    missing, unexpected = own.keys() - content.keys(), content.keys() - own.keys()
    different = {name for name, value in shared.items() if own[name].shape != value.shape}
    if missing or unexpected or different:
        raise InputError(
            f"{source}: not weights of this detector: missing {abridged(missing) or 'nothing'}, unexpected "
            f"{abridged(unexpected) or 'nothing'}, of another shape {abridged(different) or 'nothing'}; "
            "choose model/proposals as it was trained"
        )
    network.load_state_dict(content)


def targets_of(masks: Tensor) -> dict[str, Tensor]:
    """Training targets from one image's masks (N, H, W) of 0 and 1, without objects of less than 2 pixels a side."""
    boxes, kept = [], []
    for index, mask in enumerate(masks > 0.5):
        rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
        if len(rows) > 1 and len(columns) > 1:
            edges = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            boxes.append(torch.cat(edges).float())
            kept.append(index)
    return {
        "boxes": torch.stack(boxes) if boxes else masks.new_zeros(0, 4),
        "labels": torch.ones(len(kept), dtype=torch.int64, device=masks.device),
        "masks": (masks[kept] > 0.5).to(torch.uint8),
    }
