"""The embedded benchmark: procedurally rendered clips, written once in DAVIS layout and read by the ordinary loader.

How clips are made: `synthetic_sampling` (scenes), `synthetic_levels` (difficulties), `synthetic_render` (pixels),
`synthetic_attributes` (what is measured on them). docs/benchmark.md describes the whole.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from pathlib import Path

from tqdm import tqdm

from memvos import paths
from memvos.data import synthetic_store as store
from memvos.data.sequences import StaticImage
from memvos.data.synthetic_recipe import Recipe
from memvos.data.tree import Tree
from memvos.data.trees import DavisTree
from memvos.errors import InputError

CLIPS = {"train": 200, "val": 16, "test": 64}
"""Clips of a split unless told otherwise."""


def ensure_synthetic(
    root: str | Path,
    difficulty: str,
    split: str,
    clips: int,
    frames: int,
    size: Sequence[int],
    seed: int = 0,
    backgrounds: str | Path | None = None,
    workers: int = 1,
) -> Path:
    """Return the folder of a rendered split below `root`; render it first where it is not there yet.

    Any number of processes may ask for the same split at the same time: they share the work. An interrupted rendering
    goes on where it was.

    Args:
        root: folder for all rendered splits, made if need be.
        difficulty: easy, normal or hard.
        split: train, val or test; rendered from disjoint seeds.
        clips: number of clips; the first ones are the same whatever the number.
        frames: length of a clip.
        size: (H, W) of a frame in pixels.
        seed: another seed is another benchmark.
        backgrounds: folder of photographs to use as backgrounds; None renders them.
        workers: processes that render.

    Returns:
        A root in DAVIS layout with one resolution and one list, named after version, settings and seed.

    Raises:
        InputError: if a setting is out of range, or the folder cannot be written.
    """
    height, width = (int(length) for length in size)
    photos = None if backgrounds is None else Path(backgrounds).expanduser().absolute()
    recipe = Recipe(difficulty, split, int(clips), int(frames), (height, width), int(seed), photos)
    folder = Path(root).expanduser().absolute() / recipe.name
    try:
        if not store.is_complete(folder):
            _render(recipe, folder, workers)
    except OSError as fault:
        if not store.is_complete(folder):  # or else another process was faster, and took the working folder away
            raise InputError(
                f"cannot write the embedded benchmark to {folder} ({fault.strerror or fault}); expected a folder that "
                "can be written and has room; set MEMVOS_CACHE=FOLDER to another one"
            ) from fault
    shutil.rmtree(store.partial(folder), ignore_errors=True)  # a slower process may have made it anew
    return folder


def _render(recipe: Recipe, folder: Path, workers: int) -> None:
    title = f"rendering {recipe.difficulty}/{recipe.split}"
    with tqdm(total=recipe.clips, desc=title, unit="clip", mininterval=1) as bar:

        def show() -> None:
            bar.update(store.rendered(folder) - bar.n)

        if workers == 1:
            store.fill(recipe, folder, show)
        else:
            # Fresh processes: a fork may hang in OpenCV's threads. They find the missing clips by themselves.
            with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
                running = {pool.submit(store.fill, recipe, folder) for _ in range(workers)}
                while running:
                    done, running = wait(running, timeout=0.5)
                    show()
                    for future in done:
                        future.result()
    if not store.is_complete(folder):
        store.finish(recipe, folder)


class SyntheticTree(Tree):
    """A split of the embedded benchmark. Every `still_every`-th frame is a static image too."""

    def __init__(
        self,
        difficulty: str = "easy",
        split: str = "train",
        clips: int | None = None,
        frames: int = 32,
        size: Sequence[int] = (128, 128),
        seed: int = 0,
        cache: str | Path | None = None,
        backgrounds: str | Path | None = None,
        workers: int = 1,
        still_every: int = 4,
    ) -> None:
        """Find the split, or render it (about a minute for 280 clips of 32 frames of 128×128 on one core).

        Args:
            difficulty: easy, normal or hard.
            split: train, val or test.
            clips: number of clips; None takes 200, 16 or 64.
            frames: length of a clip.
            size: (H, W) of a frame in pixels.
            seed: another seed is another benchmark.
            cache: folder for rendered splits; None takes "synthetic" in `paths.cache_dir()` (MEMVOS_CACHE).
            backgrounds: folder of photographs to use as backgrounds; None renders them.
            workers: processes that render.
            still_every: distance in frames of the static images.

        Raises:
            InputError: as `ensure_synthetic`, or if still_every is below 1.
        """
        if still_every < 1:
            raise InputError(f"got still_every={still_every}; expected a distance of at least 1 frame; correct it")
        cache = paths.cache_dir() / "synthetic" if cache is None else cache
        clips = CLIPS.get(split, 1) if clips is None else clips
        folder = ensure_synthetic(cache, difficulty, split, clips, frames, size, seed, backgrounds, workers)
        videos = DavisTree(folder, split, attributes=_load(folder / store.ATTRIBUTES)).videos
        empty = _load(folder / store.EMPTY)
        shown = (
            (video, t) for video in videos for t in range(0, len(video), still_every) if t not in empty[video.name]
        )
        images = [video.still(t) for video, t in shown]
        recorded = _load(folder / store.FINGERPRINT)["fingerprint"]
        super().__init__(f"synthetic-{difficulty}/{split}", folder, videos, images, f"{recorded} {still_every}")

    def files(self) -> list[Path]:
        """Every image and mask file; the static images are frames of the videos."""
        return [path for video in self.videos for path in (*video.image_paths, *video.mask_paths.values())]

    def stills(self) -> list[StaticImage]:
        """The static images; frames between them are too like them to be counted again."""
        return list(self.images)

    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of version and settings, which decide every pixel; the same on every machine."""
        return hashlib.sha256(self._settings.encode()).hexdigest()[:16]


def _load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
