"""`memvos bench loader`: training clips per second on one core, ours and plain PIL and torchvision, in turns."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memvos.app.bench import alternate

SIZE = 384
CLIPS = 6
"""Clips of each kind in a round."""


def table(rounds: int) -> Iterator[str]:
    """The lines of the table; made-up pictures of 640×480 (pseudo-videos) and 854×480 pixels, read as files."""
    import cv2
    import torch

    from memvos.app import bench_plain
    from memvos.data.sampling import MaxSkip, Source

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    random.seed(0)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        stills, videos = write_pictures(Path(folder))
        pseudo, clips = datasets(Source.of(stills), Source.of(videos), MaxSkip(5))
        still = stills.images
        video = videos.videos[0]
        paths = [(video.image_paths[t], video.mask_paths[video.frame_names[t]]) for t in (0, 2, 4)]
        counter = iter(range(1_000_000))
        works = {
            "ours": [
                lambda: [pseudo[next(counter), 0.5] for _ in range(CLIPS)],
                lambda: [clips[next(counter), 0.5] for _ in range(CLIPS)],
            ],
            "plain": [
                lambda: [bench_plain.pseudo_clip(s.image_path, s.mask_path, SIZE) for s in still[:CLIPS]],
                lambda: [bench_plain.video_clip(*zip(*paths, strict=True), SIZE) for _ in range(CLIPS)],
            ],
        }
        seconds = alternate(works, rounds, time.process_time)
    yield f"clips of 3 frames of {SIZE}×{SIZE} pixels per second of one core (processor time)"
    yield f"{'':14}{'memvos':>10}{'PIL, torchvision':>18}{'ratio':>8}"
    for index, kind in enumerate(("pseudo-video", "video")):
        mine, plain = (CLIPS / seconds[name][index] for name in ("ours", "plain"))
        yield f"{kind:14}{mine:10.1f}{plain:18.1f}{mine / plain:8.1f}"


def datasets(stills: Any, videos: Any, skip: Any) -> tuple[Any, Any]:
    """Our two data sets, by the published recipe."""
    from memvos.data.pseudo_video import PseudoVideos
    from memvos.data.transforms import Augmentation, static_transforms, video_transforms
    from memvos.data.video_clip import VideoClips

    pseudo = PseudoVideos([stills], Augmentation(static_transforms(SIZE)))
    return pseudo, VideoClips([videos], Augmentation(video_transforms(SIZE)), skip)


def write_pictures(folder: Path) -> tuple[Any, Any]:
    """Trees of made-up photographs: noise of many scales, the coarser the stronger, as photographs have it."""
    import cv2
    import numpy as np

    from memvos.data.trees import FolderTree, ImageTree

    rng = np.random.default_rng(0)
    for place, count, (height, width) in (("stills/{}", CLIPS, (480, 640)), ("video/{}/clip", 8, (480, 854))):
        for t in range(count):
            scales = ((1, 5), (3, 12), (5, 25), (7, 40))
            layers = [rng.normal(0, s, (height >> k, width >> k, 3)).astype(np.float32) for k, s in scales]
            picture = 128 + sum(cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) for layer in layers)
            labels = np.zeros((height, width), np.uint8)
            cv2.ellipse(labels, (width // 2 + 4 * t, height // 2), (width // 5, height // 4), 0, 0, 360, 1, -1)
            cv2.ellipse(labels, (width // 4 + 4 * t, height // 2), (width // 9, height // 5), 0, 0, 360, 2, -1)
            for kind, suffix, values in (("images", "jpg", picture.clip(0, 255)), ("masks", "png", labels)):
                path = folder / place.format(kind) / f"{t:05d}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), values.astype(np.uint8))
    return ImageTree(folder / "stills"), FolderTree(folder / "video", images="images", masks="masks")
