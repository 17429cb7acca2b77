"""How data sets lie on disk: roots, split files, resolutions, folders of frames. Faults of layout are raised here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memvos.data.files import (
    IMAGE_SUFFIXES,
    MASK_SUFFIX,
    UNREAD_SUFFIXES,
    MaskFormat,
    is_hidden,
    list_files,
    natural_key,
    require_read,
)
from memvos.data.sequences import Video
from memvos.errors import InputError


class NoRoot(InputError):
    """There is no data to look at, as opposed to data of another layout."""


ROOT_OPTION = "data.root=PATH"
"""What sets the root of most data sets."""
PUBLISHED = "480p"
"""Folder of the resolution at which DAVIS is scored."""


def existing_root(root: str | Path | None, option: str = ROOT_OPTION) -> Path:
    """The root as an absolute path.

    Args:
        root: the folder of the data set.
        option: what sets it, for the message: key and environment variable.

    Raises:
        NoRoot: (an InputError) if none is given or there is no such folder.
    """
    if root is None or root == "":
        raise NoRoot(f"got no data root; expected the folder of the data set; set {option}")
    path = Path(root).expanduser().absolute()
    if not path.is_dir():
        raise NoRoot(f"data root {path} is not a folder; expected the folder of the data set; set {option}")
    return path


def davis_root(root: str | Path | None, option: str = ROOT_OPTION) -> Path:
    """The folder that holds ImageSets: the root itself, or the folder DAVIS that the published archives unpack to;
    `option` as `existing_root` has it.

    Raises:
        NoRoot: (an InputError) if none is given or there is no such folder.
    """
    path = existing_root(root, option)
    inner = path / "DAVIS"
    return inner if not (path / "ImageSets").is_dir() and (inner / "ImageSets").is_dir() else path


def split_file(root: Path, split: str, year: int | None) -> Path:
    """ImageSets/<year>/<split>.txt, of the newest year when `year` is None; or the published DAVIS 2016's own list.

    Raises:
        InputError: if there is no such file; the splits which do exist are named.
    """
    lists = sorted((root / "ImageSets").glob("20[0-9][0-9]/*.txt"))
    found = [path for path in lists if path.stem == split and year in (None, int(path.parent.name))]
    if not found and year in (None, 2016):
        of_2016 = sorted((root / "ImageSets").glob("*p/*.txt"))  # 480p/train.txt: the paths of all images and masks
        lists, found = [*lists, *of_2016], [path for path in of_2016 if path.stem == split]
    if not found:
        wanted = f"ImageSets/{year or '<year>'}/{split}.txt"
        got = ", ".join(path.relative_to(root).as_posix() for path in lists) or "no list at all"
        raise InputError(
            f"{root} has no {wanted}; got {got}; choose one of these, or use data=folder for videos without lists"
        )
    return found[-1]


def is_of_2016(split_file: Path) -> bool:
    """Is it a split of DAVIS 2016, where all objects of a video are one?"""
    return split_file.parent.name == "2016" or not split_file.parent.name.startswith("20")


def lines_of(path: Path) -> list[str]:
    """The lines of a list in UTF-8, with or without a byte order mark; blank ones left out.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"{path} cannot be read ({fault}); expected a list in UTF-8; save it so") from fault
    return [line.strip() for line in lines if line.strip()]


def split_names(path: Path, subset: str | None) -> list[str]:
    """The videos of a split file (one name a line, or a line of paths for each image), or the slice `subset` of them.

    Raises:
        InputError: if it cannot be read, nothing is listed or left, a name is listed twice, or `subset` is no slice
            ("-4:").
    """
    lines = lines_of(path)
    by_image = all("/" in line for line in lines)
    names = list(dict.fromkeys(Path(line.split()[0]).parent.name for line in lines)) if by_image else lines
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise InputError(
            f"split {path} lists {double!r} more than once; expected every video once; remove the repetition"
        )
    chosen = names if subset is None else names[_slice(str(subset))]
    if not chosen:
        part = "" if subset is None else f" in its part {subset!r}"
        raise InputError(f"split {path} is empty{part} (it lists {len(names)} videos); expected one video name a line")
    return chosen


def resolution_with_all(root: Path, names: Sequence[str]) -> str:
    """The resolution folder that has frames of every video, or else lacks fewest: 480p, else that with the most rows.

    Raises:
        InputError: if JPEGImages has no resolution folder.
    """
    base = root / "JPEGImages"
    folders = sorted(subfolders(base))
    if not folders:
        raise InputError(
            f"found no folder {base}/<resolution>; expected e.g. {base}/480p/<video>/00000.jpg; correct data.root"
        )
    rows = {folder.name: int(folder.name[:-1]) if folder.name[:-1].isdecimal() else 0 for folder in folders}
    missing = {folder.name: sum(not (folder / name).is_dir() for name in names) for folder in folders}
    return min(rows, key=lambda name: (missing[name], name != PUBLISHED, -rows[name]))


def all_present(folder: Path, names: Sequence[str], listed_in: Path) -> None:
    """Check that every video of a split has a folder of frames.

    Raises:
        InputError: with the number of missing ones and the first.
    """
    missing = [name for name in names if not list_images(folder / name)]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(names)} videos of {listed_in} have no frames in {folder} (first: {missing[0]!r}); "
            "expected a folder of JPEGs for each; choose another resolution= or split=, or complete the data"
        )


def choose(
    place: Path, found: Sequence[str], videos: str | Sequence[str] | None, without: str | Sequence[str] | None
) -> tuple[list[str], bool]:
    """The names of the videos that are kept, and whether these are all that were found.

    Args:
        place: where they were found, for messages: a folder, or the file that lists them.
        found: names of the videos that are there.
        videos: names to keep, in this order; None keeps all.
        without: names to leave out where they are there.

    Raises:
        InputError: if a name is no text, one to keep is not there or is to be left out, or no video is left.
    """
    videos = None if videos is None else _texts(videos, place)
    without = [] if without is None else _texts(without, place)
    if unknown := [name for name in videos or () if name not in found]:
        raise InputError(
            f"found no video {unknown[0]!r} in {place}; got {', '.join(found[:10])}; correct the names of its videos"
        )
    if both := set(videos or ()) & set(without):
        raise InputError(
            f"video {min(both)!r} of {place} is to be trained on and to be tested on; leave it out of train_videos or "
            "test_videos"
        )
    names = [name for name in (found if videos is None else videos) if name not in without]
    if found and not names:
        raise InputError(
            f"no video of {place} is left to train on ({len(found)} there, all of them test videos); name fewer in "
            "test_videos"
        )
    return names, videos is None and len(names) == len(found)


def _texts(names: Any, place: Path) -> list[str]:
    """One name or several as a list. A number is none: it may have been 00001, whose zeros are lost."""
    listed = list(names) if isinstance(names, Iterable) and not isinstance(names, str) else [names]
    if wrong := [name for name in listed if not isinstance(name, str)]:
        raise InputError(
            f"got {wrong[0]!r} as the name of a video in {place}; expected text; quote it, as in "
            "'test_videos=[\"00001\"]'"
        )
    return listed


def folder_video(
    name: str,
    frames: Path,
    masks: Path,
    mask_format: MaskFormat,
    attributes: Sequence[str] = (),
    late_objects: bool = False,
) -> Video:
    """A video from its folder of frames and its folder of masks, matched by file stem.

    Raises:
        InputError: if a mask has no frame of its name, two frames have the same, or a frame or a mask is of a format
            that is not read.
    """
    images = list_images(frames)
    require_read(frames, images)
    labels = {path.stem: path for path in list_files(masks, (MASK_SUFFIX,))} if masks.is_dir() else {}
    stems = {path.stem for path in images}
    if len(stems) < len(images):
        raise InputError(
            f"{len(images)} images in {frames} share {len(stems)} names; expected one image for each frame; "
            "remove the copies in another format"
        )
    alone = [stem for stem in labels if stem not in stems]
    if alone:
        raise InputError(
            f"{len(alone)} masks in {masks} have no frame of the same name in {frames} (first: {alone[0]}.png); "
            "expected equal stems; rename the masks or add the frames"
        )
    _require_png_masks(masks, images, labels)
    return Video(name, images, labels, mask_format, attributes, late_objects)


def _require_png_masks(masks: Path, images: Sequence[Path], labels: Mapping[str, Path]) -> None:
    """Check that no frame has a mask of another format alone.

    Raises:
        InputError: if so, with the first.
    """
    without = {path.stem for path in images} - labels.keys()
    if not without or not masks.is_dir() or masks == images[0].parent:
        return
    others = [path for path in list_files(masks, (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)) if path.stem in without]
    if others:
        raise InputError(
            f"mask {others[0]} is no PNG ({len(others)} of {len(images)} frames have such a mask); expected a PNG, "
            "which keeps values as drawn; export it again as PNG, or move it away"
        )


def video_folders(root: Path, images: str, masks: str) -> Iterator[tuple[str, tuple[Path, Path]]]:
    """(name, (folder of frames, folder of masks)) of every video, in any layout of `FolderTree`."""
    base = root / images
    if list_images(base):
        yield root.name, (base, root / masks)
    for folder in subfolders(base):
        if folder == root / masks:  # images=".": videos lie beside the folder of masks
            continue
        if list_images(folder):
            yield folder.name, (folder, root / masks / folder.name)
            continue
        for inner in subfolders(folder):
            if list_images(inner):
                yield inner.name, (inner, root / masks / folder.name / inner.name)
    for folder in subfolders(root) if base != root else ():
        if list_images(folder / images):
            yield folder.name, (folder / images, folder / masks)


def folders_without_frames(root: Path, images: str, masks: str) -> Iterator[Path]:
    """Folders below <root>/<images> that hold nothing, or only pictures that are not read, and those that would belong
    to a folder of masks.
    """
    for folder in subfolders(root / images):
        if _holds_no_frames(folder):
            yield folder
        elif not list_images(folder):
            yield from filter(_holds_no_frames, subfolders(folder))
    for folder in subfolders(root / masks):
        counterpart = root / images / folder.name
        if list_files(folder, (MASK_SUFFIX,)) and not counterpart.exists():
            yield counterpart


def _holds_no_frames(folder: Path) -> bool:
    """Does a folder hold nothing, or pictures but none that is read?"""
    return not any(folder.iterdir()) or (not list_images(folder) and bool(list_files(folder, UNREAD_SUFFIXES)))


def all_by_stem(folder: Path, suffixes: tuple[str, ...], ending: str) -> dict[str, list[Path]]:
    """Files below a folder by their relative path without suffix and `ending`; those that lack it are left out."""
    found: dict[str, list[Path]] = {}
    for path in list_files(folder, suffixes, deep=True):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem.endswith(ending):
            found.setdefault(stem.removesuffix(ending), []).append(path)
    return found


def by_stem(folder: Path, suffixes: tuple[str, ...], ending: str) -> dict[str, Path]:
    """As `all_by_stem`; of several files of one stem the last."""
    return {stem: paths[-1] for stem, paths in all_by_stem(folder, suffixes, ending).items()}


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder in natural order; none if the folder is missing."""
    return list_files(folder, IMAGE_SUFFIXES) if folder.is_dir() else []


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder in natural order, without hidden ones; none if it is missing."""
    inside = folder.iterdir() if folder.is_dir() else ()
    found = [path for path in inside if path.is_dir() and not is_hidden(path.name)]
    return sorted(found, key=lambda path: natural_key(path.name))


def _slice(text: str) -> slice:
    try:
        start, stop = (int(part) if part.strip() else None for part in text.split(":"))
    except ValueError as fault:
        raise InputError(f"got subset={text!r}; expected a slice like '-4:' or ':20'") from fault
    return slice(start, stop)
