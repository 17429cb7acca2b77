"""True masks as proposals: the ceiling of what any detector can do for DMN-AOA, as `gate=oracle` is for the memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from memvos.data.sequences import Video
from memvos.errors import InputError
from memvos.model.interface import Place
from memvos.model.proposal_sources import named, placed
from memvos.model.proposals import Proposals
from memvos.model.regions import boxes_of


class OracleProposals:
    """The true masks of a frame's objects and of nothing else; for evaluation, and only where it is asked for.

    Args:
        grid: side of the masks kept of each proposal.
    """

    def __init__(self, grid: int = 28) -> None:
        self.grid = grid
        self._videos: dict[str, Video] = {}

    def check(self, videos: Sequence[Video]) -> None:
        """Take the videos, whose masks are read as they are needed.

        Raises:
            InputError: if one has no masks on some of its frames.
        """
        for video in videos:
            if video.first_masks_only or len(video.annotated) < len(video):
                raise InputError(
                    f"model/proposals=oracle needs the masks of every frame, and video {video.name!r} has those of "
                    f"{len(video.annotated)} of {len(video)} to give; take another source"
                )
        self._videos = {video.name: video for video in videos}

    def __call__(self, image: Tensor, place: Place) -> Proposals:
        """True objects of the frames that `place` names.

        Raises:
            InputError: if the frames have no names, or are of none of the videos.
        """
        return Proposals.join([self._of(*name, image, place) for name in named(place, len(image))]).to(image.device)

    def _of(self, video: str, frame: str, image: Tensor, place: Place) -> Proposals:
        if video not in self._videos:
            raise InputError(
                f"model/proposals=oracle knows the evaluated videos, and {video!r} is none; take another source"
            )
        seen = self._videos[video]
        labels = seen.labels(seen.frame_names.index(frame))
        ids = [value for value in np.unique(labels).tolist() if value]
        if not ids:
            return Proposals.none(self.grid)
        masks = torch.from_numpy(np.stack([labels == value for value in ids])).float()
        boxes = boxes_of(masks.unsqueeze(0), trim=0.0)[0][0]
        return placed(Proposals.cut_out(masks, boxes, torch.ones(len(ids)), self.grid), labels.shape, image, place)
