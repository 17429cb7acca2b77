"""Where proposals come from: nowhere, a detector, any function. DMN-AOA §3.1.

Of files: `proposal_cache.py`, `coco.py`; true masks: `oracle_proposals.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from memvos.data.clip import IMAGENET_MEAN, IMAGENET_STD
from memvos.errors import InputError
from memvos.model.frozen import for_inference
from memvos.model.interface import Place
from memvos.model.proposals import Proposals, ProposalSource, select

REMEDY = (
    "choose a source: model/proposals=detector model.proposals.checkpoint=FILE (train one with memvos train "
    "experiment=proposals), mask_rcnn (torchvision), cached or coco (files); true masks, a ceiling: oracle"
)


class Frames(Protocol):
    """A video: its name, the names of its frames, and their size (H, W)."""

    name: str
    frame_names: Sequence[str]
    size: tuple[int, int]


def check_source(source: ProposalSource | None, videos: Sequence[Frames]) -> None:
    """Proposals from files must be those of the videos, and true masks be there; detectors, and functions, take any.

    Raises:
        InputError: if they are not, before anything is computed.
    """
    check = getattr(source, "check", None)
    if check is not None:
        check(videos)


class NoProposals:
    """No source is configured: a model that needs proposals refuses to run."""

    def __call__(self, image: Tensor, place: Place) -> Proposals:
        """Refuse.

        Raises:
            InputError: always.
        """
        raise InputError(f"DMN-AOA matches object proposals and has no source of them; {REMEDY}")


class DetectorProposals:
    """Run an instance segmentation network on every frame.

    The detector is loaded when the first frame comes, is no part of the model's own weights, and is not trained here.

    Args:
        detector: makes the network, without arguments: images [(3, H, W) in 0 … 1] to torchvision's list of
            dictionaries with boxes, scores and masks (K, 1, m, m) on the boxes' grids (`memvos.model.detector`).
        checkpoint: its weights; None refuses to run.
        most: proposals to keep.
        overlap: largest box IoU of two of them.
    """

    def __init__(
        self, detector: Callable[[], Any], checkpoint: str | Path | None = None, most: int = 30, overlap: float = 0.4
    ) -> None:
        self.make, self.checkpoint, self.most, self.overlap = detector, checkpoint, most, overlap
        self._detector: torch.nn.Module | None = None

    def __call__(self, image: Tensor, place: Place) -> Proposals:
        """Proposals of images (B, 3, H, W), found in the part that shows the frame.

        Raises:
            InputError: if no checkpoint is configured, or it does not fit the detector.
        """
        return detect(self.load().to(image.device), image, place, self.most, self.overlap)

    def __getstate__(self) -> dict[str, Any]:
        """For worker processes: the detector is loaded anew there."""
        return {**self.__dict__, "_detector": None}

    def load(self) -> torch.nn.Module:
        """The detector, with its weights from the first call on.

        Raises:
            InputError: if no checkpoint is configured, or it does not fit the detector.
        """
        if self.checkpoint is None:
            raise InputError(f"the proposal detector has no checkpoint; {REMEDY}")
        if self._detector is None:
            detector = self.make()
            detector.load(self.checkpoint)
            self._detector = for_inference(detector.to(memory_format=torch.channels_last).eval(), torch.float32)
        return self._detector


@torch.no_grad()
def detect(detector: torch.nn.Module, image: Tensor, place: Place, most: int = 30, overlap: float = 0.4) -> Proposals:
    """Run a detector on normalised images (B, 3, H, W), where `place` shows the frame, and select of what it finds."""
    x0, y0, x1, y1 = (0, 0, image.shape[3], image.shape[2]) if place.window is None else map(int, place.window)
    with torch.autocast(image.device.type, enabled=False):
        found = detector(list(in_unit_range(image[:, :, y0:y1, x0:x1].float())))
    chosen = [
        select(Proposals.of_image(one["boxes"], one["masks"].squeeze(1), one["scores"]), most, overlap) for one in found
    ]
    return Proposals.join(chosen).moved((1.0, 1.0), (float(x0), float(y0)))


def in_unit_range(image: Tensor) -> Tensor:
    """Undo `memvos.data.clip.normalise`: (B, 3, H, W) in 0 … 1."""
    mean, deviation = (image.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (image * deviation + mean).clamp(0, 1)


def placed(proposals: Proposals, size: tuple[int, int], image: Tensor, place: Place) -> Proposals:
    """Proposals in pixels of a frame (H, W) = `size`, moved to where the image shows it."""
    x0, y0, x1, y1 = place.window or (0.0, 0.0, float(image.shape[3]), float(image.shape[2]))
    return proposals.moved(((x1 - x0) / size[1], (y1 - y0) / size[0]), (x0, y0))


def named(place: Place, count: int) -> tuple[tuple[str, str], ...]:
    """(video, frame) of each of `count` images.

    Raises:
        InputError: if they are not known.
    """
    if len(place.names) != count:
        raise InputError(
            "proposals from files are looked up by video and frame, and this frame has no name; give "
            "Segmenter.step(..., name=(video, frame)), or take a detector as the source (training clips are "
            "augmented, so files do not fit them)"
        )
    return place.names
