"""Data on disk as sequences: the trees that find them (DAVIS layout, any folder of videos, static images).

Nothing is decoded before it is asked for. A tree raises for faults of its layout (no root, no split, no frames) when it
is made; faults of single files are found by `memvos.data.check`, or raised when the file is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memvos.data import layouts
from memvos.data.files import IMAGE_SUFFIXES, MASK_SUFFIX, MaskFormat
from memvos.data.sequences import StaticImage, Video
from memvos.data.tree import JoinedTree, Tree
from memvos.errors import InputError

__all__ = ["DavisTree", "FolderTree", "ImageTree", "JoinedTree", "StaticImage", "Tree", "Video", "image_trees"]


class DavisTree(Tree):
    """DAVIS layout: JPEGImages/ and Annotations/<resolution>/<video>/, ImageSets/<year>/<split>.txt."""

    def __init__(
        self,
        root: str | Path | None,
        split: str,
        resolution: str | None = None,
        year: int | None = None,
        merge_objects: bool = False,
        late_objects: bool = False,
        subset: str | None = None,
        threshold: bool = False,
        ignore: Sequence[int] = (),
        attributes: Mapping[str, Sequence[str]] | None = None,
        official: Mapping[str, int] | None = None,
        option: str = "data.root=PATH (or DAVIS_ROOT)",
    ) -> None:
        """Find the videos of a split.

        Args:
            root: the folder that holds JPEGImages, Annotations and ImageSets, or the one around it (DAVIS).
            split: name of the list in ImageSets/<year>, without ".txt".
            resolution: "480p", "240p", ...; None takes 480p, or the largest, that has every video of the split.
            year: 2016 (all objects are one) or 2017; None takes the newest that ImageSets has.
            merge_objects: make all objects one, as year 2016 does by itself.
            late_objects: objects may enter after the first mask.
            subset: Python slice of the split's list, e.g. "-4:" for its last four videos.
            threshold: grey values of 128 and more are one object.
            ignore: mask values read as background, e.g. [255] for void.
            attributes: attributes of the videos by name.
            official: how many videos and objects the split should have, for `memvos data check`; not with a subset.
            option: what sets the root, for the message where it is missing: key and environment variable.

        Raises:
            InputError: if the root, the split's list or a video's frames are missing, or the split is empty.
        """
        root = layouts.davis_root(root, option)
        split_file = layouts.split_file(root, split, year)
        names = layouts.split_names(split_file, subset)
        resolution = resolution or layouts.resolution_with_all(root, names)
        frames, masks = root / "JPEGImages" / resolution, root / "Annotations" / resolution
        layouts.all_present(frames, names, split_file)
        merge = merge_objects or layouts.is_of_2016(split_file)
        reading = MaskFormat(merge=merge, threshold=threshold, ignore=ignore)
        videos = [
            layouts.folder_video(
                name, frames / name, masks / name, reading, (attributes or {}).get(name, ()), late_objects
            )
            for name in names
        ]
        super().__init__(
            f"{root.name}/{split}",
            root,
            videos,
            settings=f"{resolution} {reading} late={late_objects}",
            official=None if subset else official,
        )


class FolderTree(Tree):
    """Any folder of videos, masks on some or all frames, objects that may enter late.

    The layouts: JPEGImages/<video>/ with Annotations/<video>/; the same below a resolution folder; <video>/JPEGImages/
    with <video>/Annotations/; a single video, JPEGImages/ with Annotations/. A mask belongs to the frame of its stem.
    """

    def __init__(
        self,
        root: str | Path | None,
        videos: Sequence[str] | None = None,
        images: str = "JPEGImages",
        masks: str = "Annotations",
        merge_objects: bool = False,
        threshold: bool = False,
        ignore: Sequence[int] = (),
        folder: str = ".",
        official: Mapping[str, int] | None = None,
        without: Sequence[str] | None = None,
        option: str = layouts.ROOT_OPTION,
    ) -> None:
        """Find the videos.

        Args:
            root: the data folder.
            videos: names to keep; None keeps all.
            images: name of the folder of frames.
            masks: name of the folder of masks.
            merge_objects: make all objects one.
            threshold: grey values of 128 and more are one object.
            ignore: mask values read as background, e.g. [255] for void.
            folder: where below root to look, e.g. "valid" (MOSE).
            official: how many videos there should be, for `memvos data check`; not where some are left out.
            without: names to leave out where they are there, those of the test videos when this is what to train on.
            option: what sets the root, for the message where it is missing: key and environment variable.

        Raises:
            InputError: if the root is missing, no frames are found, a name to keep is not there or is to be left out,
                or no video is left.
        """
        root = layouts.existing_root(layouts.existing_root(root, option) / folder)
        found: dict[str, tuple[Path, Path]] = {}
        for name, folders in layouts.video_folders(root, images, masks):
            if name in found:
                raise InputError(
                    f"found video {name!r} twice, in {found[name][0]} and {folders[0]}; expected one folder each; "
                    f"name one resolution, e.g. images={images}/480p masks={masks}/480p"
                )
            found[name] = folders
        if not found:
            raise InputError(
                f"found no video below {root}; expected {images}/<video>/*.jpg with {masks}/<video>/*.png, "
                f"or <video>/{images}/*.jpg with <video>/{masks}/*.png; arrange the files so, name the folders with "
                "images= and masks=, or take data=images where each picture is for itself"
            )
        names, whole = layouts.choose(root, list(found), videos, without)
        reading = MaskFormat(merge=merge_objects, threshold=threshold, ignore=ignore)
        chosen = [layouts.folder_video(n, *found[n], reading, late_objects=True) for n in names]
        self.without_frames = list(layouts.folders_without_frames(root, images, masks))
        super().__init__(root.name, root, chosen, settings=f"folder {reading}", official=official if whole else None)


class ImageTree(Tree):
    """Static images with masks: two folders matched by file stem, or one with *.jpg and *.png; subfolders count."""

    def __init__(
        self,
        root: str | Path | None,
        images: str = "images",
        masks: str = "masks",
        image_ending: str = "",
        mask_ending: str = "",
        threshold: bool = False,
        ignore: Sequence[int] = (),
        unmasked: bool = False,
        official: Mapping[str, int] | None = None,
        option: str = layouts.ROOT_OPTION,
    ) -> None:
        """Find the pairs.

        Args:
            root: the data folder.
            images: folder of the images below root; "." is root itself (FSS-1000: images=. masks=.).
            masks: folder of the PNG masks below root.
            image_ending: what ends the stem of images only, e.g. "_im" (BIG, HRSOD).
            mask_ending: what ends the stem of masks only, e.g. "_gt".
            threshold: grey values of 128 and more are one object (DUTS, ECSSD and other saliency sets).
            ignore: mask values read as background.
            unmasked: images without a mask are left out; otherwise they are an error.
            official: how many images there should be, for `memvos data check`.
            option: what sets the root, for the message where it is missing: key and environment variable.

        Raises:
            InputError: if a folder is missing, or no image has a mask, or (unless `unmasked`) an image has none.
        """
        root = layouts.existing_root(root, option)
        for folder in (root / images, root / masks):
            if not folder.is_dir():
                raise InputError(
                    f"found no folder {folder}; expected images in {images}/ and masks in {masks}/ below {root}; "
                    "set images= and masks="
                )
        suffixes = tuple(s for s in IMAGE_SUFFIXES if s != MASK_SUFFIX) if images == masks else IMAGE_SUFFIXES
        named = layouts.all_by_stem(root / images, suffixes, image_ending)
        pictures = {stem: paths[-1] for stem, paths in named.items()}
        labels = layouts.by_stem(root / masks, (MASK_SUFFIX,), mask_ending)
        alone = [stem for stem in pictures if stem not in labels]
        if unmasked and len(alone) < len(pictures):
            pictures, alone = {stem: path for stem, path in pictures.items() if stem in labels}, []
        if alone or not pictures:
            got = f"{len(alone)} of {len(pictures)} images without a mask (first: {alone[0]})" if alone else "no image"
            raise InputError(
                f"{root}: got {got}; expected {masks}/<name>{mask_ending}.png for every "
                f"{images}/<name>{image_ending}.jpg; add the masks or move the images away"
            )
        reading = MaskFormat(threshold=threshold, ignore=ignore)
        pairs = [StaticImage(stem, path, labels[stem], reading) for stem, path in pictures.items()]
        super().__init__(root.name, root, images=pairs, settings=f"images {reading}", official=official)
        self.without_image = [] if unmasked else [path for stem, path in labels.items() if stem not in pictures]
        self.doubles = [(path, pictures[stem]) for stem in pictures for path in named[stem][:-1]]


def image_trees(roots: str | Path | Sequence[str | Path], **options: Any) -> Tree:
    """One tree of the static images below any number of roots, none included; `options` as `ImageTree` has them."""
    listed = [roots] if isinstance(roots, (str, Path)) else list(roots)
    return JoinedTree("static images", [ImageTree(root, **options) for root in listed])
