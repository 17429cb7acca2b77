"""`memvos bench loader`: training clips per second on one core, ours and plain PIL and torchvision, in turns."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count, cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memvos.app.bench_common import alternate
from memvos.errors import InputError

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from memvos.data.clip import Clip
    from memvos.data.trees import Tree

SIZE = 384
CLIPS = 6
"""Clips of each kind in a round, or as many as there are videos."""
SKIP = 5
"""Largest step between the frames of a clip."""


def table(
    rounds: int, videos: str | None = None, resolution: str | None = None, stills: str | None = None
) -> Iterator[str]:
    """The lines of the table.

    Args:
        rounds: how often both take their turn.
        videos: folder with JPEGImages/ and Annotations/; None makes up pictures of 854×480 pixels.
        resolution: folder below these two.
        stills: folder with images/ and masks/; None makes up pictures of 640×480 pixels.

    Raises:
        InputError: if a folder has another layout, a video has fewer than two masks, or a resolution is of no videos.
    """
    import cv2
    import torch

    if videos is None and resolution is not None:
        raise InputError(f"got resolution={resolution} without videos; expected it with videos=FOLDER; add that")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    random.seed(0)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        trees = [_stills(stills, Path(folder) / "stills"), _videos(videos, resolution, Path(folder) / "video")]
        counts = [max(CLIPS, len(tree.images) or len(tree.videos)) for tree in trees]
        ours, plain = _ours(*trees), _plain(*trees)
        works = {
            name: [lambda make=make, many=many: [make() for _ in range(many)] for make, many in zip(*pair, strict=True)]
            for name, pair in {"ours": (ours, counts), "plain": (plain, counts)}.items()
        }
        seconds = alternate(works, rounds, time.process_time)
    yield f"clips of 3 frames of {SIZE}×{SIZE} pixels per second of one core (processor time)"
    yield f"{'':14}{'memvos':>10}{'PIL, torchvision':>18}{'ratio':>8}"
    for index, (kind, many) in enumerate(zip(("pseudo-video", "video"), counts, strict=True)):
        mine, plain = (many / seconds[name][index] for name in ("ours", "plain"))
        yield f"{kind:14}{mine:10.1f}{plain:18.1f}{mine / plain:8.1f}"


def _ours(stills: Tree, videos: Tree) -> list[Callable[[], Clip]]:
    """Functions that make the next clip of each kind, in our way."""
    counter = count()
    return [lambda data=data: data[next(counter), 0.5] for data in datasets(stills, videos)]


def _plain(stills: Tree, videos: Tree) -> list[Callable[[], Clip]]:
    """The same as one would write it; all images and all videos come equally often there too."""
    from memvos.app import bench_plain
    from memvos.data.sampling import sample_frames

    rng = np.random.default_rng(0)
    images, sequences = cycle(stills.images), cycle(videos.videos)

    def pseudo() -> Clip:
        still = next(images)
        return bench_plain.pseudo_clip(still.image_path, still.mask_path, SIZE)

    def video() -> Clip:
        chosen = next(sequences)
        times = [chosen.annotated[k] for k in sample_frames(len(chosen.annotated), 3, SKIP, rng)]
        masks = [chosen.mask_paths[chosen.frame_names[t]] for t in times]
        return bench_plain.video_clip([chosen.image_paths[t] for t in times], masks, SIZE)

    return [pseudo, video]


def datasets(stills: Tree, videos: Tree) -> tuple[Dataset, Dataset]:
    """Our two data sets, by the published recipe."""
    from memvos.data.pseudo_video import PseudoVideos
    from memvos.data.sampling import MaxSkip, Source
    from memvos.data.transforms import Augmentation, static_transforms, video_transforms
    from memvos.data.video_clip import VideoClips

    pseudo = PseudoVideos([Source(stills)], Augmentation(static_transforms(SIZE)))
    return pseudo, VideoClips([Source(videos)], Augmentation(video_transforms(SIZE)), MaxSkip(SKIP))


def _stills(root: str | None, made_up: Path) -> Tree:
    from memvos.data.trees import ImageTree

    if root is not None:
        return ImageTree(root)
    for t in range(CLIPS):
        write_picture(made_up, "", t, (480, 640))
    return ImageTree(made_up)


def _videos(root: str | None, resolution: str | None, made_up: Path) -> Tree:
    from memvos.data.trees import FolderTree

    below = "" if resolution is None else f"/{resolution}"
    if root is not None:
        return FolderTree(root, images=f"JPEGImages{below}", masks=f"Annotations{below}")
    for t in range(8):
        write_picture(made_up, "clip", t, (480, 854))
    return FolderTree(made_up, images="images", masks="masks")


def write_picture(root: Path, below: str, t: int, size: tuple[int, int]) -> None:
    """Write a made-up photograph (noise of many scales, the coarser the stronger, as photographs have it), a mask."""
    import cv2

    height, width = size
    rng = np.random.default_rng(t)
    scales = ((1, 5), (3, 12), (5, 25), (7, 40))
    layers = [rng.normal(0, s, (height >> k, width >> k, 3)).astype(np.float32) for k, s in scales]
    picture = 128 + sum(cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) for layer in layers)
    labels = np.zeros((height, width), np.uint8)
    cv2.ellipse(labels, (width // 2 + 4 * t, height // 2), (width // 5, height // 4), 0, 0, 360, 1, -1)
    cv2.ellipse(labels, (width // 4 + 4 * t, height // 2), (width // 9, height // 5), 0, 0, 360, 2, -1)
    for kind, suffix, values in (("images", "jpg", picture.clip(0, 255)), ("masks", "png", labels)):
        path = root / kind / below / f"{t:05d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), values.astype(np.uint8))
