"""Writing the embedded benchmark to disk in DAVIS layout: once, atomically, by any number of processes together.

A split is rendered into a sibling folder `….partial`, clip by clip; when the last clip is there, the folder gets its
final name. A clip is rendered into a folder of its own and moved in when it is whole; a marker, written last, says that
it is. So an interrupted rendering goes on with the clips that are missing, and processes that ask for the same split at
the same time share the work: there are no locks, and a crash leaves nothing locked.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from memvos.data.synthetic_clip import RenderedClip, render_clip
from memvos.data.synthetic_recipe import Recipe
from memvos.whole_file import write_text

FINGERPRINT = "fingerprint.json"
ATTRIBUTES = "attributes.json"
EMPTY = "empty_frames.json"
MARKERS = "clips"
JPEG_QUALITY = 95
PALETTE = (0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128)


def is_complete(folder: Path) -> bool:
    """Whether a split has been rendered to the end."""
    return (folder / FINGERPRINT).is_file()


def partial(folder: Path) -> Path:
    """Where a split is rendered before it is complete."""
    return folder.with_name(folder.name + ".partial")


def rendered(folder: Path) -> int:
    """Number of clips of a split that are whole."""
    markers = partial(folder) / MARKERS
    return len(list(markers.glob("*.json"))) if markers.is_dir() else 0


def fill(recipe: Recipe, folder: Path, after_clip: Callable[[], None] = lambda: None) -> None:
    """Render the clips that are missing; other processes may do so at the same time."""
    cv2.setNumThreads(1)
    backdrop = recipe.backdrop()
    (partial(folder) / MARKERS).mkdir(parents=True, exist_ok=True)
    for index in np.random.default_rng().permutation(recipe.clips):  # unlike in other processes; decides no pixel
        if is_complete(folder):
            return
        marker = partial(folder) / MARKERS / f"{recipe.clip_name(index)}.json"
        if not marker.is_file():
            clip = render_clip(
                recipe.difficulty, recipe.split, int(index), recipe.frames, recipe.size, recipe.seed, backdrop
            )
            _write_clip(clip, partial(folder), recipe.clip_name(index), f"{recipe.size[0]}p")
        after_clip()


def finish(recipe: Recipe, folder: Path) -> None:
    """Write the lists of a split whose clips are all there, and give the folder its name."""
    work = partial(folder)
    names = [recipe.clip_name(index) for index in range(recipe.clips)]
    notes = {name: json.loads((work / MARKERS / f"{name}.json").read_text(encoding="utf-8")) for name in names}
    write_text(work / "ImageSets" / "2017" / f"{recipe.split}.txt", "".join(f"{name}\n" for name in names))
    _dump(work / ATTRIBUTES, {name: note["attributes"] for name, note in notes.items()})
    _dump(work / EMPTY, {name: note["empty"] for name, note in notes.items()})
    _dump(work / FINGERPRINT, {"fingerprint": recipe.fingerprint(), **recipe.identity()})
    work.rename(folder)
    for leftover in (folder / MARKERS, *folder.glob(".*")):  # of interrupted processes
        shutil.rmtree(leftover, ignore_errors=True)


def _write_clip(clip: RenderedClip, work: Path, name: str, resolution: str) -> None:
    staging = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=work))
    for kind, suffix, frames, encode in (
        ("JPEGImages", "jpg", clip.images, _save_image),
        ("Annotations", "png", clip.labels, _save_labels),
    ):
        (staging / kind).mkdir()
        for t, frame in enumerate(frames):
            encode(staging / kind / f"{t:05d}.{suffix}", frame)
        _publish(staging / kind, work / kind / resolution / name)
    empty = [t for t, labels in enumerate(clip.labels) if not labels.any()]
    _dump(work / MARKERS / f"{name}.json", {"attributes": clip.attributes, "empty": empty})
    staging.rmdir()


def _publish(source: Path, target: Path) -> None:
    """Move a whole folder into its place; where another process was first, its folder is equal and stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(source)


def _save_image(path: Path, image: np.ndarray) -> None:
    _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(code)


def _save_labels(path: Path, labels: np.ndarray) -> None:
    picture = Image.fromarray(labels)
    picture.putpalette(PALETTE)
    picture.save(path, compress_level=3)


def _dump(path: Path, content: dict) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")
