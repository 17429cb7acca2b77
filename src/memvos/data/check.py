"""Look over a tree before training or scoring: one `Fault` per kind, with its first example and its count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from memvos.data import copies
from memvos.data.files import MASK_SUFFIX, MaskFault, orientation, probe, read_image
from memvos.data.frame_rate import uneven, variant
from memvos.data.mask_ids import differs_from_meta, look_at
from memvos.data.sequences import StaticImage, Video, size_remedy
from memvos.data.trees import Tree
from memvos.errors import InputError

DECODED_AT_MOST = 6000
"""Files up to which `check` decodes all of a tree by default: a few seconds."""

NOTES = (
    "count",
    "duplicated file",
    "frame-rate variant",
    "missing frames",
    "missing image",
    "missing masks",
    "ids differ from meta.json",
    "one mask only",
    "rotated by EXIF",
)
"""Kinds that do not keep a run from starting: what is there can be used, though it is not what was published."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault. Attributes: kind, example (the first one's message), count."""

    kind: str
    example: str
    count: int

    def __str__(self) -> str:
        return f"{self.kind} ({self.count}×): {self.example}"

    @property
    def stops(self) -> bool:
        """Can nothing be made of the data?"""
        return self.kind not in NOTES


def check(tree: Tree, thorough: bool | None = None, clips: bool = False) -> list[Fault]:
    """Return the faults of a tree, in the order in which their kinds were first met; an empty list if there are none.

    The header and the end of every file are read, and every first mask is decoded. `thorough` decodes every
    file, which also finds unknown object ids and damage in the middle of a PNG (of a JPEG most of that is read
    over); None does so for at most `DECODED_AT_MOST` files. `clips`: training clips are to be drawn from the videos.

    The kinds: "unreadable file"; "sizes differ" (a mask and its image, or the frames of a video); "no mask" (a video
    without any), "no first mask", "no object"; "unknown object id" (one that the first mask lacks, in a tree where
    objects may not enter late); "no palette" (a mask in colours, in the grey values of a palette's colours, or whose
    palette shows an object in black and the background not), "smoothed mask" (anti-aliased edges, or a JPEG), "255
    beside ids"; "images of one name" (static ones, for one mask); and those of `NOTES`. Faults of the layout ("layout"
    in `memvos data check`) are raised when a tree is made.
    """
    if thorough is None:
        thorough = len(tree.files()) <= DECODED_AT_MOST
    found: dict[str, dict[Path, str]] = {}
    for kind, path, message in _faults(tree, thorough, clips):
        found.setdefault(kind, {}).setdefault(path, message)
    return [Fault(kind, next(iter(messages.values())), len(messages)) for kind, messages in found.items()]


def raise_faults(tree: Tree, faults: list[Fault]) -> None:
    """End a run on a tree that has faults which stop it.

    Raises:
        InputError: with the first of them, and the number of further kinds.
    """
    faults = [fault for fault in faults if fault.stops]
    if faults:
        more = "" if len(faults) == 1 else f" (and {len(faults) - 1} more kinds of fault: memvos data check lists them)"
        raise InputError(f"data {tree.name}: {faults[0]}{more}")


_Found = Iterator[tuple[str, Path, str]]  # kind, the file at fault, message


def _faults(tree: Tree, thorough: bool, clips: bool) -> _Found:
    objects = 0
    for video in tree.videos:
        yield from _file_faults(video, thorough)
        ids = yield from _mask_faults(tree, video, thorough)
        objects += len(tree.meta.get(video.name, ids))
        yield from _name_faults(tree, video)
        if clips and video.annotated and video.too_few_masks:
            yield "one mask only", video.image_paths[0], video.too_few_masks
        for path in video.image_paths if thorough else ():
            yield from _unreadable(path)
    for still in tree.images:
        yield from _still_faults(still, thorough)
    for folder in tree.without_frames:
        message = f"{folder} holds no frames, so that its video is left out; complete it, or remove it and its masks"
        yield "missing frames", folder, message
    yield from _pair_faults(tree)
    for copy, original in copies.find(tree):
        message = f"{copy} has the content of {original}; expected different pictures; remove one of the two"
        yield "duplicated file", copy, message
    counts = {"videos": len(tree.videos), "images": len(tree.images), "objects": objects}
    for what, expected in tree.official.items():
        if counts[what] != expected:
            message = (
                f"{tree.root} has {counts[what]:,} {what} of {tree.name}, the published set {expected:,}; complete it, "
                "or give data.train.official=null if this is all you want (data.test. or data.val. for evaluation)"
            )
            yield "count", tree.root / what, message


def _pair_faults(tree: Tree) -> _Found:
    """Masks of static images without an image, and with more than one."""
    for path in tree.without_image:
        message = f"mask {path} has no image of its name, so that it is left out; add the image, or remove the mask"
        yield "missing image", path, message
    for path, taken in tree.doubles:
        message = f"{path} and {taken} have one name, and only the latter is read; expected one image for each mask"
        yield "images of one name", path, f"{message}; remove one of the two"


def _file_faults(video: Video, thorough: bool) -> _Found:
    """Headers and ends of all files, and their sizes."""
    expected = None
    for frame, image_path in zip(video.frame_names, video.image_paths, strict=True):
        for path in (image_path, video.mask_paths.get(frame)):
            if path is None:
                continue
            try:
                size = probe(path)
            except InputError as fault:
                yield "unreadable file", path, str(fault)
                continue
            expected = expected or size
            if size != expected:
                got, want = (f"{width}×{height}" for height, width in (size, expected))
                remedy = size_remedy(size, expected, f"resize it to {want}")
                yield (
                    "sizes differ",
                    path,
                    f"{path} is {got} pixels, video {video.name!r} {want}; expected one size; {remedy}",
                )
            if path is image_path:
                yield from _rotation(path, thorough)


def _mask_faults(tree: Tree, video: Video, thorough: bool):
    """What the masks hold: all of them if thorough, otherwise the first one. Returns the ids seen."""
    if 0 not in video.annotated:
        yield "no first mask" if video.annotated else "no mask", video.image_paths[0], video.no_first_mask
        return {}
    if not video.late_objects and 1 < len(video.annotated) < len(video):
        yield "missing masks", video.image_paths[0], _gaps(video)
    known: set[int] = set()
    first: dict[int, str] = {}
    empty = thorough and video.late_objects  # until an object is met; only where all masks are looked at
    for t in video.annotated if thorough else video.annotated[:1]:
        name = video.frame_names[t]
        path = video.mask_paths[name]
        try:
            ids, doubts = look_at(video.mask_format, path)
        except InputError as fault:
            empty = False
            yield _kind(fault), path, str(fault)
            continue
        yield from ((kind, path, message) for kind, message in doubts)
        if t == 0 and not ids and not video.late_objects:
            yield "no object", path, f"first mask {path} is empty; expected at least one object id above 0; draw one"
        if t == 0:
            known = ids
        elif known and not video.late_objects and ids - known:
            yield "unknown object id", path, _unknown_id(path, ids, known)
        first.update((key, name) for key in ids - first.keys())
    if empty and not first:
        path = video.mask_paths[video.frame_names[0]]
        yield "no object", path, f"no mask of video {video.name!r} holds an object (the first is {path}); draw one"
    if video.name in tree.meta:
        message = differs_from_meta(video, first, tree.meta[video.name], thorough and len(video.annotated) > 1)
        if message:
            yield "ids differ from meta.json", video.mask_paths[video.frame_names[0]], message
    return first


def _gaps(video: Video) -> str:
    first = next(frame for frame in video.frame_names if frame not in video.mask_paths)
    return (
        f"video {video.name!r} has masks of {len(video.annotated)} of its {len(video)} frames (first without: "
        f"{first}); expected all of them, or the first alone; restore them, for frames without a mask are not scored"
    )


def _unknown_id(path: Path, ids: set[int], known: set[int]) -> str:
    got, expected = (", ".join(map(str, sorted(values))) for values in (ids - known, known))
    return (
        f"mask {path} holds object {got}; expected only the ids of the first mask ({expected}); correct the mask, "
        "or take data=folder, where objects may enter later"
    )


def _name_faults(tree: Tree, video: Video) -> _Found:
    """Whether the numbers of the frames are those of the wanted frame rate, without gaps."""
    for kind, message in (("frame-rate variant", variant(video, tree.frame_step)), ("missing frames", uneven(video))):
        if message:
            yield kind, video.image_paths[0], message
            return


def _still_faults(still: StaticImage, thorough: bool) -> _Found:
    for path in (still.image_path, still.mask_path):
        try:
            probe(path)
        except InputError as fault:
            yield "unreadable file", path, str(fault)
            return
    yield from _rotation(still.image_path, thorough)
    (rows, columns), (height, width) = probe(still.mask_path), probe(still.image_path)
    if (rows, columns) != (height, width):
        remedy = size_remedy((rows, columns), (height, width), "resize the mask")
        message = f"mask {still.mask_path} is {columns}×{rows} pixels, its image {width}×{height}; {remedy}"
        yield "sizes differ", still.mask_path, message
    elif thorough:
        yield from _unreadable(still.image_path)
        try:
            ids, doubts = look_at(still.mask_format, still.mask_path)
        except InputError as fault:
            yield _kind(fault), still.mask_path, str(fault)
            return
        yield from ((kind, still.mask_path, message) for kind, message in doubts)
        if not ids:
            message = f"mask {still.mask_path} is empty; draw an object or remove the pair"
            yield "no object", still.mask_path, message


def _rotation(path: Path, thorough: bool) -> _Found:
    """Whether an image is shown turned; of a PNG only if thorough, for it has to be decoded to know."""
    if path.suffix.lower() == MASK_SUFFIX and not thorough:
        return
    if (value := orientation(path)) != 1:
        message = (
            f"{path} has the EXIF orientation {value}, which is not applied; expected masks that fit the pixels as "
            "they are stored; turn the files upright, e.g. by mogrify -auto-orient, before masks are drawn"
        )
        yield "rotated by EXIF", path, message


def _kind(fault: InputError) -> str:
    return fault.kind if isinstance(fault, MaskFault) else "unreadable file"


def _unreadable(path: Path) -> _Found:
    try:
        read_image(path)
    except InputError as fault:
        yield "unreadable file", path, str(fault)
