"""Listens to what a model chooses from: the share of true objects its proposals cover. DMN-AOA §3.1, Table 3 D."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from memvos.decode.sizes import FrameSize
from memvos.lit.watch import Watch
from memvos.model.interface import VOSModel
from memvos.model.proposals import recall

LEAST = (0.5, 0.7)


class RecallWatch(Watch):
    """Counts covered objects frame by frame, as a context; does nothing for models without proposals.

    Attributes:
        covered: objects that some proposal covers at mask IoU .5, .7.
        objects: all of them.
    """

    def __init__(self, model: VOSModel) -> None:
        super().__init__(model, "matcher")
        self._latest: Any = None
        self.covered, self.objects = [0] * len(LEAST), 0

    def compare(self, truth: np.ndarray | None, ids: list[int], size: FrameSize | None) -> None:
        """Compare the proposals of the latest frame, if there were any, with the frame's true labels (H, W).

        Without a size (several views of a frame) nothing is counted.
        """
        proposals, self._latest = self._latest, None
        if proposals is None or truth is None or size is None or not ids:
            return
        masks = torch.from_numpy(np.stack([truth == key for key in ids])).float().unsqueeze(0)
        covered, objects = recall(proposals, size.shrink_masks(masks.to(proposals.boxes.device)), LEAST)
        self.covered = [before + covered[iou] for before, iou in zip(self.covered, LEAST, strict=True)]
        self.objects += objects

    def _note(self, matcher: Any, inputs: tuple, output: Any) -> None:
        self._latest = output.proposals
