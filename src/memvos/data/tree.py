"""What every tree is: a set of sequences or static images with a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from memvos.data.sequences import StaticImage, Video
from memvos.data.still_video import StillVideo


class Tree:
    """A set of sequences or static images.

    Attributes:
        name, root, videos, images: what it is, and what it holds.
        official: how many "videos", "images" or "objects" the published set has; empty where that is not known.
        protocol: how sequences are scored, "davis" (without the first and the last frame) or "youtube" (all).
        seen: categories of the training set, where scores tell seen from unseen ones; empty elsewhere.
        meta: what a meta.json says of the videos, by name.
        frame_step: distance of the frames' numbers, where the variant demands one.
        without_frames: folders where frames of a video were looked for and none are.
        without_image: masks of static images that have none.
        doubles: (left out, taken) images of one name, where each mask has one image.
    """

    meta: Mapping[str, Any] = MappingProxyType({})
    frame_step: int | None = None
    without_frames: Sequence[Path] = ()
    without_image: Sequence[Path] = ()
    doubles: Sequence[tuple[Path, Path]] = ()

    def __init__(
        self,
        name: str,
        root: Path,
        videos: Sequence[Video] = (),
        images: Sequence[StaticImage] = (),
        settings: str = "",
        official: Mapping[str, int] | None = None,
        protocol: str = "davis",
        seen: Sequence[str] = (),
    ) -> None:
        """`settings` says how files are read (split, merging, ...); it enters the fingerprint."""
        self.name = name
        self.root = Path(root)
        self.videos = list(videos)
        self.images = list(images)
        self.official = dict(official or {})
        self.protocol = protocol
        self.seen = tuple(seen)
        self._settings = settings

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, videos={len(self.videos)}, images={len(self.images)})"

    def files(self) -> list[Path]:
        """Every image and mask file the tree may read."""
        files = [path for video in self.videos for path in (*video.image_paths, *video.mask_paths.values())]
        return files + [path for image in self.images for path in (image.image_path, image.mask_path)]

    def stills(self) -> list[StaticImage]:
        """The static images, and every annotated frame of the videos as one."""
        return self.images + [video.still(t) for video in self.videos for t in video.annotated]

    def sequences(self) -> list[Video]:
        """What a model is evaluated on: the videos, or, of a tree of static images, each image as a short video."""
        return self.videos or [StillVideo(still) for still in self.images]

    def first_masks_only(self) -> bool:
        """Is nothing annotated in any sequence after its objects have been introduced (`Video.first_masks_only`)?"""
        return all(video.first_masks_only for video in self.sequences())

    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of the reading settings and of all files' names and sizes.

        Names are relative to the root, those of files that lie elsewhere absolute. Contents are not read, so that large
        data sets cost milliseconds; an edit that keeps a file's size goes unseen.
        """
        digest = hashlib.sha256(self._settings.encode())
        for path in self.files():
            size = path.stat().st_size if path.exists() else -1
            name = path.relative_to(self.root) if path.is_relative_to(self.root) else path
            digest.update(f"{name.as_posix()}\0{size}\n".encode())
        return digest.hexdigest()[:16]


class JoinedTree(Tree):
    """Several trees as one."""

    def __init__(self, name: str, trees: Sequence[Tree]) -> None:
        """Join their videos and images in order."""
        videos = [video for tree in trees for video in tree.videos]
        images = [image for tree in trees for image in tree.images]
        super().__init__(name, Path("/"), videos, images, settings=" ".join(tree.fingerprint() for tree in trees))
        self.without_image = [path for tree in trees for path in tree.without_image]
        self.doubles = [pair for tree in trees for pair in tree.doubles]

    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of the trees' fingerprints."""
        return hashlib.sha256(self._settings.encode()).hexdigest()[:16]
