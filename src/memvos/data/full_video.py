"""A video read from its first to its last frame, for propagation: what a model is given, and apart from it the truth.

`FullVideo` yields each frame with the masks that a user would draw: every object once, where it is first annotated.
Later masks are not reachable through it; scores read them through `Truth`.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from memvos.data.sequences import Video


@dataclass(frozen=True)
class Frame:
    """One frame as a model gets it.

    Attributes:
        index: place in the video, from 0.
        name: the frame's file stem.
        image: uint8 RGB (H, W, 3).
        entering: ids of the objects that are first annotated here, ascending.
        masks: label map uint8 (H, W) of these and of no other; None if there is none.
    """

    index: int
    name: str
    image: np.ndarray
    entering: tuple[int, ...]
    masks: np.ndarray | None


class FullVideo:
    """The frames of a video in order, read as they are needed (one ahead, in a thread of its own)."""

    def __init__(self, video: Video) -> None:
        """Find where every object is first annotated.

        Raises:
            InputError: if the first frame has no mask (one that shows no object yet is one) or no object is annotated.
        """
        self.name = video.name
        self.object_ids = video.object_ids
        self._video = video
        self._entering: dict[int, tuple[int, ...]] = {}
        for value, t in video.first_seen.items():
            self._entering[t] = (*self._entering.get(t, ()), value)

    def __len__(self) -> int:
        return len(self._video)

    def __iter__(self) -> Iterator[Frame]:
        with ThreadPoolExecutor(max_workers=1) as thread:
            following = thread.submit(self._frame, 0)
            for t in range(1, len(self) + 1):
                frame = following.result()
                if t < len(self):
                    following = thread.submit(self._frame, t)
                yield frame

    def _frame(self, t: int) -> Frame:
        entering = self._entering.get(t, ())
        masks = None
        if entering:
            labels = self._video.labels(t)
            masks = np.where(np.isin(labels, entering), labels, 0).astype(np.uint8)
        return Frame(t, self._video.frame_names[t], self._video.image(t), entering, masks)


class Truth:
    """The annotations to score against; none where masks only introduce objects (`Video.first_masks_only`).

    Attributes: object_ids; frames, the indices that have one.
    """

    def __init__(self, video: Video) -> None:
        self.object_ids = video.object_ids
        self.frames = () if video.first_masks_only else video.annotated
        self._video = video

    def labels(self, t: int) -> np.ndarray | None:
        """Label map uint8 (H, W) of frame t, 0 = background; None where there is no annotation."""
        return self._video.labels(t) if t in self.frames else None
