"""Make what trainings read out of what is published: smaller pictures, masks of COCO instances. Parallel, resumable.

A file is written beside its place and then put there, so that what is there is whole; what is there is not made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from memvos.data import layouts
from memvos.data.files import BROKEN, IMAGE_SUFFIXES, MASK_SUFFIX, image_size, list_files
from memvos.errors import InputError
from memvos.whole_file import whole_file

QUALITY = 95
"""Of the JPEGs that are written."""

Job = tuple[Callable[[Path], None], Path]
"""What writes a file, and its place."""


def run(jobs: Sequence[Job], workers: int = 1, progress: bool = False) -> int:
    """Do those jobs whose file is not there yet; how many these were."""
    waiting = [job for job in jobs if not job[1].exists()]
    bar = tqdm(total=len(jobs), initial=len(jobs) - len(waiting), unit="file", disable=not progress)
    if workers == 1:
        for job in waiting:
            _do(job)
            bar.update()
    else:
        with ProcessPoolExecutor(workers, get_context("forkserver")) as pool:
            for _ in pool.map(_do, waiting, chunksize=16):
                bar.update()
    bar.close()
    return len(waiting)


def resized_videos(source: Path, target: Path, short_side: int = 480) -> list[Job]:
    """Jobs for a folder with JPEGImages and Annotations; other files (meta.json) are copied.

    Raises:
        InputError: if the source has no JPEGImages.
    """
    if not (source / "JPEGImages").is_dir():
        raise InputError(f"found no folder {source / 'JPEGImages'}; expected the published frames there; correct root=")
    jobs: list[Job] = []
    for kind, write in (("JPEGImages", shrink_image), ("Annotations", shrink_mask)):
        for path in list_files(source / kind, IMAGE_SUFFIXES, deep=True) if (source / kind).is_dir() else ():
            jobs.append((partial(write, path, short_side), target / path.relative_to(source)))
    others = [path for path in source.iterdir() if path.is_file()]
    return jobs + [(partial(shutil.copyfile, path), target / path.name) for path in others]


def resized_stills(images: dict[str, Path], masks: dict[str, Path], target: Path, short_side: int) -> list[Job]:
    """Jobs for pairs of equal keys, laid side by side as <name>.jpg and <name>.png.

    Raises:
        InputError: if an image that is there already was made with another short side.
    """
    names = {stem: stem.replace("/", "_") for stem in images if stem in masks}
    for stem, name in names.items():
        if (made := target / f"{name}.jpg").exists():
            (height, width), (rows, columns) = image_size(made), _smaller(image_size(images[stem]), short_side)
            if (height, width) != (rows, columns):
                raise InputError(
                    f"{made} is {width}×{height} pixels, expected {columns}×{rows} with short_side={short_side}; give "
                    f"the short_side= that {target} was made with, or remove it"
                )
    pictures = [(partial(shrink_image, images[stem], short_side), target / f"{n}.jpg") for stem, n in names.items()]
    return pictures + [
        (partial(shrink_mask, masks[stem], short_side), target / f"{n}.png") for stem, n in names.items()
    ]


def small_set(source: Path, target: Path, endings: tuple[str, str], short_side: int) -> list[Job]:
    """Jobs for a static set whose images and masks lie anywhere below `source`, told apart by suffix and ending."""
    images = layouts.by_stem(source, (".jpg", ".jpeg"), endings[0])
    masks = layouts.by_stem(source, (MASK_SUFFIX,), endings[1])
    by_name = [{Path(stem).name: path for stem, path in found.items()} for found in (images, masks)]
    if not by_name[0].keys() & by_name[1].keys():
        raise InputError(f"found no pair *{endings[0]}.jpg and *{endings[1]}.png below {source}; correct root=")
    return resized_stills(*by_name, target, short_side)


def shrink_image(source: Path, short_side: int, target: Path) -> None:
    """Scale an image so that its shorter side has `short_side` pixels; a smaller one is copied."""
    with Image.open(source) as image:
        size = _smaller(image.size, short_side)
        if size == image.size:
            shutil.copyfile(source, target)
            return
        pixels = np.asarray(image.convert("RGB"))
    Image.fromarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)).save(target, "JPEG", quality=QUALITY)


def shrink_mask(source: Path, short_side: int, target: Path) -> None:
    """As `shrink_image`, nearest neighbour and with the palette; ids stay what they are."""
    with Image.open(source) as image:
        size = _smaller(image.size, short_side)
        if size == image.size:
            shutil.copyfile(source, target)
            return
        image.resize(size, Image.Resampling.NEAREST).save(target, "PNG")


def _smaller(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    if min(size) <= short_side:
        return size
    return tuple(round(side * short_side / min(size)) for side in size)


def _do(job: Job) -> None:
    write, target = job
    cv2.setNumThreads(1)
    try:
        with whole_file(target) as draft:
            write(draft)
    except (*BROKEN, cv2.error) as fault:
        raise InputError(f"cannot make {target} ({fault}); look over the source, then start again") from fault
