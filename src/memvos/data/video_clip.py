"""Video clips: training clips of T frames of one video, near to each other in time (QDMN §4.1, the main stage)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from torch.utils.data import Dataset

from memvos.data.cache import READ_EACH_TIME, Cache, NoCache
from memvos.data.clip import Clip
from memvos.data.sampling import MaxSkip, Rounds, Source, choose_objects, make_clip, sample_frames
from memvos.data.sequences import Video
from memvos.data.transforms import Augmentation
from memvos.errors import InputError, check_number

TRIES = 5
ITEMS = 20


class VideoClips(Dataset):
    """Clips by sample number; the videos of the sources are the items."""

    def __init__(
        self,
        sources: Sequence[Source],
        augmentation: Augmentation,
        max_skip: MaxSkip,
        frames: int = 3,
        reverse: float = 0.5,
        max_objects: int = 2,
        min_pixels: int = 16,
        seed: int = 0,
        cache: Cache | NoCache = READ_EACH_TIME,
    ) -> None:
        """Gather the videos.

        Args:
            sources: trees and their shares; a source may have its own curriculum.
            augmentation: of the drawn frames.
            max_skip: curriculum of the sources that have none.
            frames: T.
            reverse: probability of reversed time (released code .5; the paper's clips are chronological, 0).
            max_objects: N; further objects are background.
            min_pixels: an object smaller than this in the clip's first frame is not chosen.
            seed: of the whole order.
            cache: keeps decoded images.

        Raises:
            InputError: for no video, one of fewer than two annotated frames, or clips without a frame.
        """
        check_number("frames", frames, 1)
        check_number("max_objects", max_objects, 1)
        pairs = [
            (video, source.max_skip or max_skip) for source in sources for video in source.tree.videos * source.repeat
        ]
        told = next((video.too_few_masks for video, _ in pairs if video.too_few_masks), None)
        if told is not None:
            raise InputError(told)
        self._items = pairs
        self._rounds = Rounds(len(pairs), seed)
        self._augment, self._seed, self._cache = augmentation, seed, cache
        self._frames, self._reverse = frames, reverse
        check_number("min_pixels", min_pixels, 1)
        self._max_objects, self._min_pixels = max_objects, min_pixels

    def __len__(self) -> int:
        """Items in a round."""
        return len(self._items)

    def __getitem__(self, sample: tuple[int, float]) -> Clip:
        """The clip of (sample number, training progress in [0, 1]); a pure function of these and the seed.

        Raises:
            InputError: if the first frames of many tries on many videos hold no object.
        """
        number, progress = sample
        rng = np.random.default_rng([self._seed, 2, number])
        for item in range(number, number + ITEMS):
            video, max_skip = self._items[self._rounds[item]]
            for _ in range(TRIES):
                places = sample_frames(len(video.annotated), self._frames, max_skip.at(progress), rng, self._reverse)
                times = [video.annotated[place] for place in places]
                images, masks = self._augment(*self._read(video, times), rng)
                ids = choose_objects(masks[0], self._max_objects, self._min_pixels, rng)
                if ids:
                    name = f"{video.name}/{','.join(video.frame_names[t] for t in times)}"
                    return make_clip(images, masks, ids, self._max_objects, name, times)
        raise InputError(
            f"the first frames of clips of {ITEMS} videos held no object, the last being {video.name!r}; "
            "expected objects in the masks; run memvos data check, or lower min_pixels"
        )

    def _read(self, video: Video, times: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 (T, H, W, 3) and label maps uint8 (T, H, W)."""
        first = self._cache.get(video.image_paths[times[0]], lambda _: video.image(times[0]))
        images = np.empty((len(times), *first.shape), np.uint8)
        images[0] = first
        for t, out in zip(times[1:], images[1:], strict=True):
            image = self._cache.get(video.image_paths[t], partial(video.image, t), out)
            if image.shape != first.shape:
                raise InputError(
                    f"frames {video.frame_names[times[0]]} and {video.frame_names[t]} of video {video.name!r} "
                    "differ in size; expected one size; resize the video's frames and masks"
                )
        size = first.shape[:2]
        paths = [video.mask_paths[video.frame_names[t]] for t in times]
        labels = [
            self._cache.get(path, lambda _, t=t: video.labels(t, size)) for path, t in zip(paths, times, strict=True)
        ]
        return images, np.stack(labels)
