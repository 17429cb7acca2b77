"""Pseudo-videos: training clips of one static image under different warps (QDMN §4.1, the pretraining stage)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from memvos.data.cache import READ_EACH_TIME, Cache, NoCache
from memvos.data.clip import Clip
from memvos.data.sampling import Rounds, Source, choose_objects, make_clip
from memvos.data.sequences import StaticImage
from memvos.data.transforms import Augmentation
from memvos.errors import InputError, check_number

TRIES = 5
ITEMS = 20
LONGEST_STEP = 5
"""Largest time between two frames that a pseudo-video pretends to, in frames (DMN-AOA §4.1: skips of 1 to 5)."""


class PseudoVideos(Dataset):
    """Clips by sample number; static images, and the annotated frames of videos, are the items."""

    def __init__(
        self,
        sources: Sequence[Source],
        augmentation: Augmentation,
        max_objects: int = 1,
        min_pixels: int = 16,
        seed: int = 0,
        cache: Cache | NoCache = READ_EACH_TIME,
    ) -> None:
        """Gather the images.

        Args:
            sources: trees and their shares.
            augmentation: makes T frames of one image.
            max_objects: N; more objects in an image are background.
            min_pixels: an object smaller than this after the warp is not chosen.
            seed: of the whole order.
            cache: keeps decoded images.

        Raises:
            InputError: if `max_objects` is no number of objects.
        """
        check_number("max_objects", max_objects, 1)
        self._stills = [still for source in sources for still in source.tree.stills() * source.repeat]
        self._rounds = Rounds(len(self._stills), seed)
        self._augment, self._seed, self._cache = augmentation, seed, cache
        check_number("min_pixels", min_pixels, 1)
        self._max_objects, self._min_pixels = max_objects, min_pixels

    def __len__(self) -> int:
        """Items in a round."""
        return len(self._stills)

    def __getitem__(self, sample: tuple[int, float]) -> Clip:
        """The clip of (sample number, training progress); a pure function of the number and the seed.

        Raises:
            InputError: if no object is left after the warp in many tries on many images.
        """
        number, _ = sample
        rng = np.random.default_rng([self._seed, 1, number])
        for item in range(number, number + ITEMS):
            still = self._stills[self._rounds[item]]
            image = self._cache.get(still.image_path, lambda _, still=still: still.image())
            size = image.shape[:2]
            labels = self._cache.get(still.mask_path, lambda _, still=still, size=size: still.labels(size))
            for _ in range(TRIES):
                images, masks = self._augment(image[None], labels[None], rng)
                ids = choose_objects(masks[0], self._max_objects, self._min_pixels, rng)
                if ids:
                    return make_clip(
                        images, masks, ids, self._max_objects, still.name, self._times(number, len(images))
                    )
        raise _no_object(still)

    def _times(self, number: int, frames: int) -> list[int]:
        """Times that a clip pretends to, with steps of 1 … `LONGEST_STEP`, drawn apart from everything else."""
        steps = np.random.default_rng([self._seed, 3, number]).integers(1, LONGEST_STEP + 1, frames - 1)
        return [0, *np.cumsum(steps).tolist()]


def _no_object(still: StaticImage) -> InputError:
    return InputError(
        f"no object was left after the augmentation of {ITEMS} images, the last being {still.name}; "
        "expected objects in the masks; run memvos data check, or lower min_pixels"
    )
