"""LightningDataModules of the two training stages: pseudo-videos (pretraining) and video clips (main training)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import albumentations

from memvos.data.cache import READ_EACH_TIME, Cache
from memvos.data.clip_datamodule import ClipDataModule
from memvos.data.pseudo_video import PseudoVideos
from memvos.data.sampling import MaxSkip, Source
from memvos.data.transforms import Augmentation, static_transforms, video_transforms
from memvos.data.trees import Tree
from memvos.data.video_clip import VideoClips
from memvos.errors import check_number

Entries = Sequence[Source | Tree | Mapping[str, Any]]
Transforms = Sequence[albumentations.BasicTransform]


class PseudoVideoDataModule(ClipDataModule):
    """Pretraining (QDMN §4.1): clips of `frames` warped copies of one image."""

    def __init__(
        self,
        trees: Entries,
        size: int,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
        epoch_size: int | None = None,
        frames: int = 3,
        max_objects: int = 1,
        min_pixels: int = 16,
        cache: bool = False,
        transforms: Transforms | None = None,
        extra_transforms: Transforms = (),
        val: Tree | None = None,
        test: Tree | None = None,
    ) -> None:
        """Take the data and the recipe.

        Args:
            trees: trees, or {tree, repeat}; static images and the annotated frames of videos are used.
            size: height and width of a clip in pixels.
            batch_size: see `ClipDataModule`, as num_workers, epoch_size, val and test.
            num_workers: see above.
            seed: of order and augmentation.
            epoch_size: see above.
            frames: T, of `static_transforms`.
            max_objects: N.
            min_pixels: smallest object that is chosen, in pixels of the clip.
            cache: keep decoded images in memory, in every worker.
            transforms: albumentations transforms, which make a clip of an image, in place of `static_transforms`.
            extra_transforms: more of them, applied last, with equal parameters for all frames.
            val: see above.
            test: see above.

        Raises:
            InputError: if a clip would have no frame.
        """
        check_number("frames", frames, 1)
        sources = [Source.of(entry) for entry in trees]
        chosen = static_transforms(size, frames) if transforms is None else list(transforms)
        augmentation = Augmentation([*chosen, *extra_transforms])
        kept = Cache() if cache else READ_EACH_TIME
        dataset = PseudoVideos(sources, augmentation, max_objects, min_pixels, seed, kept)
        super().__init__(sources, dataset, batch_size, num_workers, epoch_size, val, test)


class VideoClipDataModule(ClipDataModule):
    """Main training (QDMN §4.1): clips of `frames` frames of one video under the max-skip curriculum."""

    def __init__(
        self,
        trees: Entries,
        size: int,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
        epoch_size: int | None = None,
        frames: int = 3,
        max_skip: str | int | Sequence[Sequence[float]] = "davis",
        reverse: float = 0.5,
        max_objects: int = 2,
        min_pixels: int = 16,
        cache: bool = False,
        transforms: Transforms | None = None,
        extra_transforms: Transforms = (),
        val: Tree | None = None,
        test: Tree | None = None,
    ) -> None:
        """Take the data and the recipe; arguments that are not here are as in `PseudoVideoDataModule`.

        Args:
            trees: trees, or {tree, repeat, max_skip}; a tree's own max_skip comes before the common one.
            size: height and width of a clip in pixels.
            batch_size: clips per batch and device.
            num_workers: loading processes.
            seed: of order, sampling and augmentation.
            epoch_size: clips per epoch over all devices; None takes every video once.
            frames: T.
            max_skip: see `MaxSkip`: "davis", "youtube", "bl30k", one number, or pairs.
            reverse: probability of reversed time (released code .5; the paper's clips are chronological, 0).
            max_objects: N.
            min_pixels: smallest object that is chosen, in pixels of the clip.
            cache: keep decoded images in memory, in every worker.
            transforms: albumentations transforms of a clip; None takes `video_transforms`.
            extra_transforms: more of them, applied last, with equal parameters for all frames.
            val: its videos become `val_videos`.
            test: its videos become `test_videos`.
        """
        sources = [Source.of(entry) for entry in trees]
        chosen = video_transforms(size) if transforms is None else list(transforms)
        augmentation = Augmentation([*chosen, *extra_transforms])
        kept = Cache() if cache else READ_EACH_TIME
        dataset = VideoClips(
            sources, augmentation, MaxSkip(max_skip), frames, reverse, max_objects, min_pixels, seed, kept
        )
        super().__init__(sources, dataset, batch_size, num_workers, epoch_size, val, test)
