"""YouTube-VOS layout (LVOS has it too): <split>/JPEGImages/<video>/, <split>/Annotations/<video>/ and a meta.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memvos.data import layouts
from memvos.data.files import MaskFormat
from memvos.data.held_out import hold_out
from memvos.data.meta import Meta, categories, read_meta
from memvos.data.sequences import Video
from memvos.data.tree import Tree
from memvos.errors import InputError

VARIANTS = {"6fps": 5, "all": 1}
"""Distance of the frames' numbers."""
PARTS = ("train", "held_out")


@dataclass(frozen=True)
class _Places:
    frames: Path
    masks: Path
    meta: Path | None


class YouTubeTree(Tree):
    """Videos with objects that enter late and have categories; masks on every fifth frame, frames at 6 or 30 a second.

    The parts of a video before its first mask are left out, as the benchmark does. Attributes beside those of `Tree`:
    seen, the categories of the training set.
    """

    def __init__(
        self,
        root: str | Path | None,
        split: str = "train",
        folder: str | None = None,
        variant: str = "6fps",
        masks: str | None = None,
        meta: str | None = "meta.json",
        seen: str | Sequence[str] | None = None,
        videos: Sequence[str] | None = None,
        part: str | None = None,
        hold_out: Mapping[str, int] | None = None,
        protocol: str = "youtube",
        official: Mapping[str, int] | None = None,
        unseen: str | None = None,
        without: Sequence[str] | None = None,
        threshold: bool = False,
        ignore: Sequence[int] = (),
        option: str = "data.root=PATH (or YOUTUBE_VOS_ROOT)",
    ) -> None:
        """Find the videos of a split.

        Args:
            root: the folder that holds train, valid, ….
            split: folder of the split below root.
            folder: another folder for frames and masks, e.g. train_480p; None is the split's.
            variant: "6fps", the annotated rate, or "all": <split>_all_frames, as the papers evaluate.
            masks: another folder of masks below root, e.g. valid_truth/Annotations where the full truth lies apart.
            meta: name of the file of objects and categories, in the split's folder or in root; None reads none, and
                no categories are known.
            seen: categories of the training set, or the split whose `meta` has them ("train"); None: no such scores.
            videos: names to keep; None keeps all of the split, or of its part.
            part: "train" or "held_out" of the split, as `hold_out` says; None is all of it.
            hold_out: videos, unseen and seed of `memvos.data.held_out.hold_out`.
            protocol: "youtube" scores every annotated frame after an object's first, "davis" leaves out the ends.
            official: how many videos and objects there should be, for `memvos data check`; not where some are left out.
            unseen: file below root with the names of the videos of unseen categories, one a line, where meta names no
                categories (LVOS v2: unseen_videos.txt of its publishers' evaluation); in place of `seen`.
            without: names to leave out where they are there, those of the test videos when this is what to train on.
            threshold: grey values of 128 and more are one object.
            ignore: mask values read as background, e.g. [255] for void.
            option: what sets the root, for the message where it is missing: key and environment variable.

        Raises:
            InputError: if a folder, meta.json, the list of unseen videos or a video is missing, a name to keep is to
                be left out, no video is left, or an argument is none of the above.
        """
        root = layouts.existing_root(root, option)
        if variant not in VARIANTS or part not in (None, *PARTS):
            raise InputError(
                f"got variant={variant!r}, part={part!r}; expected 6fps or all, and train, held_out or null"
            )
        places = _places(root, split, folder or split, variant, masks, meta)
        objects = read_meta(places.meta) if places.meta else {}
        known = _seen(root, split, meta, seen)
        if unseen is not None:
            objects, known = _grouped(objects, root / unseen), ("seen",)
        found = list(objects) or [path.name for path in layouts.subfolders(places.frames)]
        if part is not None:
            carved = _carved(objects, hold_out or {})
            found, known = list(carved.train if part == "train" else carved.held_out), carved.seen
        names, whole = layouts.choose(places.meta or places.frames, found, videos, without)
        layouts.all_present(places.frames, names, places.meta or places.frames)
        reading = MaskFormat(threshold=threshold, ignore=ignore)
        chosen = [_video(name, places, reading, objects.get(name, {})) for name in names]
        kinds = {video.name: sorted(video.categories.items()) for video in chosen}  # decide over seen and unseen
        settings = f"youtube {variant} {reading} {protocol} {kinds} {known}"
        super().__init__(
            f"{root.name}/{split}",
            root,
            chosen,
            settings=settings,
            official=official if whole else None,
            protocol=protocol,
            seen=known,
        )
        self.meta = {name: objects[name] for name in names if name in objects}
        self.frame_step = VARIANTS[variant]


def _places(root: Path, split: str, folder: str, variant: str, masks: str | None, meta: str | None) -> _Places:
    pictures = (
        [root / folder]
        if variant == "6fps"
        else [root / f"{split}_all_frames", root / f"all_frames/{split}_all_frames"]
    )
    chosen = next((path / "JPEGImages" for path in pictures if (path / "JPEGImages").is_dir()), None)
    labels = root / (masks or f"{folder}/Annotations")
    if chosen is None or not labels.is_dir():
        missing = labels if chosen else " or ".join(str(path / "JPEGImages") for path in pictures)
        raise InputError(
            f"found no folder {missing}; expected frames in <split>/JPEGImages (or <split>_all_frames/JPEGImages) and "
            f"masks in <split>/Annotations below {root}; unpack the split there, or set split=, variant= and masks="
        )
    return _Places(chosen, labels, None if meta is None else _meta_file(root, split, meta))


def _meta_file(root: Path, split: str, meta: str) -> Path:
    return next((p for p in (root / split / meta, root / meta) if p.is_file()), root / split / meta)


def _seen(root: Path, split: str, meta: str | None, seen: str | Sequence[str] | None) -> tuple[str, ...]:
    if not isinstance(seen, str):
        return tuple(seen or ())
    return () if meta is None else categories(read_meta(_meta_file(root, seen, meta.replace(split, seen))))


def _grouped(objects: Meta, file: Path) -> Meta:
    """The objects with "unseen" or "seen" for their category, as a list of videos says."""
    if not file.is_file():
        raise InputError(f"found no {file}; expected the names of videos of unseen categories; copy it there")
    unseen = {name for line in layouts.lines_of(file) for name in line.split()}
    strange = sorted(unseen - objects.keys())
    if strange:
        raise InputError(f"{file} names {strange[0]!r}, no video of the split; give the list that belongs to it")
    return {
        name: {key: replace(entry, category="unseen" if name in unseen else "seen") for key, entry in entries.items()}
        for name, entries in objects.items()
    }


def _carved(objects: Mapping[str, Any], settings: Mapping[str, int]) -> Any:
    if not objects:
        raise InputError("part= needs the categories of a meta.json; set meta=meta.json")
    return hold_out(objects, **settings)


def _video(name: str, places: _Places, reading: MaskFormat, objects: Mapping[int, Any]) -> Video:
    kinds = {key: entry.category for key, entry in objects.items() if entry.category}
    video = layouts.folder_video(name, places.frames / name, places.masks / name, reading, late_objects=True)
    start = video.annotated[0] if video.annotated else 0
    return Video(name, video.image_paths[start:], video.mask_paths, reading, late_objects=True, categories=kinds)
