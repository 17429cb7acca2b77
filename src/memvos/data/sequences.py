"""`Video` and `StaticImage`: sequences and images on disk. Nothing is decoded before it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from memvos.data.files import MaskFormat, image_size, read_image
from memvos.errors import InputError

_PLAIN = MaskFormat()
MASKS_OF_A_CLIP = 2
"""Annotated frames that a video needs for training clips."""


class StaticImage:
    """One image with its mask. Attributes: name, image_path, mask_path."""

    def __init__(self, name: str, image_path: Path, mask_path: Path, mask_format: MaskFormat = _PLAIN) -> None:
        self.name = name
        self.image_path = image_path
        self.mask_path = mask_path
        self.mask_format = mask_format

    def image(self) -> np.ndarray:
        """RGB uint8 (H, W, 3)."""
        return read_image(self.image_path)

    def labels(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """Label map uint8 (H, W), 0 = background; `size`: (H, W) of the image, where it is known already.

        Raises:
            InputError: if the mask cannot be read or its size is not the image's.
        """
        labels = self.mask_format.read(self.mask_path)
        same_size(labels, self.image_path, self.mask_path, size)
        return labels


class Video:
    """One sequence of frames with masks on some or all of them.

    Attributes:
        name: the sequence's name.
        frame_names: names of the frames, in order: their file stems.
        attributes: what makes the sequence hard ("occlusion", ...), where the data set says so.
        annotated: indices of the frames that have a mask file.
        late_objects: objects may enter after the first mask.
        categories: what the objects are ("person", ...) by id, where the data set says so.
    """

    def __init__(
        self,
        name: str,
        image_paths: Sequence[Path],
        mask_paths: Mapping[str, Path],
        mask_format: MaskFormat = _PLAIN,
        attributes: Sequence[str] = (),
        late_objects: bool = False,
        categories: Mapping[int, str] | None = None,
        frame_names: Sequence[str] | None = None,
    ) -> None:
        """Take the frames in order and the masks by frame name; `late_objects`: ids may enter after the first mask.

        `frame_names` are the stems of the files unless they are given.
        """
        self.name = name
        self.image_paths = tuple(image_paths)
        self.frame_names = tuple(path.stem for path in image_paths) if frame_names is None else tuple(frame_names)
        self.mask_paths = dict(mask_paths)
        self.attributes = tuple(attributes)
        self.late_objects = late_objects
        self.categories = dict(categories or {})
        self.annotated = tuple(t for t, frame in enumerate(self.frame_names) if frame in self.mask_paths)
        self.mask_format = mask_format

    def __len__(self) -> int:
        return len(self.frame_names)

    def __repr__(self) -> str:
        return f"Video({self.name!r}, frames={len(self)}, annotated={len(self.annotated)})"

    def image(self, t: int, out: np.ndarray | None = None) -> np.ndarray:
        """Frame t, RGB uint8 (H, W, 3); in `out` where that has the size."""
        return read_image(self.image_paths[t], out)

    def labels(self, t: int, size: tuple[int, int] | None = None) -> np.ndarray | None:
        """Label map of frame t, uint8 (H, W), 0 = background; None where the frame has no mask file.

        Args:
            t: the frame's index.
            size: (H, W) of the image, where it is known already; None looks into its header.

        Raises:
            InputError: if the mask cannot be read or its size is not the image's.
        """
        path = self.mask_paths.get(self.frame_names[t])
        if path is None:
            return None
        labels = self.mask_format.read(path)
        same_size(labels, self.image_paths[t], path, size)
        return labels

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first frame in pixels, from its header."""
        return image_size(self.image_paths[0])

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the objects to segment, ascending: of the first mask, or of any mask where objects may enter late.

        Raises:
            InputError: as `first_seen`.
        """
        return tuple(self.first_seen)

    @cached_property
    def first_seen(self) -> dict[int, int]:
        """The objects to segment, ids ascending, each with the index of the first frame whose mask has it.

        Raises:
            InputError: if the first frame has no mask, or no object at all is annotated.
        """
        if 0 not in self.annotated:
            raise InputError(self.no_first_mask)
        if not self._shown:
            got = "none of its masks holds an object" if self.late_objects else "its first mask holds no object"
            raise InputError(f"video {self.name!r}: {got}; expected at least one id above 0; draw an object")
        return {value: times[0] for value, times in sorted(self._shown.items())}

    @cached_property
    def first_masks_only(self) -> bool:
        """Do the masks only introduce objects, so that there is nothing to score against?

        So are DAVIS test-dev, MOSE valid and YouTube-VOS valid as published: a later mask of the last shows the objects
        that enter there and none of those before, of which it therefore says nothing.
        """
        if not self.late_objects:
            return len(self.annotated) == 1
        once = all(len(times) == 1 for times in self._shown.values())
        return once and set(self.first_seen.values()) == set(self.annotated)

    @cached_property
    def _shown(self) -> dict[int, list[int]]:
        """Object → the frames whose masks have it; of the first mask alone where no object enters late."""
        shown: dict[int, list[int]] = {}
        for t in self.annotated if self.late_objects else self.annotated[:1]:
            for value in np.unique(self.labels(t)).tolist():
                shown.setdefault(value, []).append(t)
        shown.pop(0, None)
        return shown

    @property
    def no_first_mask(self) -> str:
        """The message for a video whose first frame has no mask."""
        got = (
            f"its first mask is that of frame {self.frame_names[self.annotated[0]]}"
            if self.annotated
            else "it has no mask"
        )
        return (
            f"video {self.name!r}: {got}; expected a mask for the first frame, {self.frame_names[0]}; "
            "add it, or leave the video out of the split"
        )

    @property
    def too_few_masks(self) -> str | None:
        """The message for a video that no training clip can be drawn from; None for others."""
        if len(self.annotated) >= MASKS_OF_A_CLIP:
            return None
        return (
            f"video {self.name!r} has {len(self.annotated)} annotated frames; expected at least {MASKS_OF_A_CLIP} to "
            "train on; leave it out of the split, or use it for pretraining only"
        )

    def still(self, t: int) -> StaticImage:
        """Annotated frame t as a static image."""
        name = self.frame_names[t]
        return StaticImage(f"{self.name}/{name}", self.image_paths[t], self.mask_paths[name], self.mask_format)


def require_categories(video: Video, objects: Iterable[int]) -> None:
    """Check that the categories of objects are known, as scores of seen and unseen ones need them.

    Raises:
        InputError: if one has none.
    """
    unknown = [key for key in objects if key not in video.categories]
    if unknown:
        raise InputError(
            f"video {video.name!r}: object {unknown[0]} has masks, but no category in meta.json; expected one for "
            "every object where seen and unseen categories are scored apart; correct meta.json or the masks, or score "
            "without: data.val.seen=null (of LVOS data.unseen=null)"
        )


def size_remedy(size: tuple[int, int], wanted: tuple[int, int], otherwise: str) -> str:
    """What to do with a file of another size than the wanted (H, W): nothing is resized that is turned by a quarter."""
    turned = "it is turned by a quarter: turn it, or the image it belongs to (by its EXIF: mogrify -auto-orient)"
    return turned if size == wanted[::-1] else otherwise


def same_size(labels: np.ndarray, image_path: Path, mask_path: Path, size: tuple[int, int] | None = None) -> None:
    """Check a label map (H, W) against its image, whose (H, W) is `size`, or in its header.

    Raises:
        InputError: if their sizes differ.
    """
    height, width = size or image_size(image_path)
    if labels.shape != (height, width):
        remedy = size_remedy(labels.shape, (height, width), "resize the mask (nearest neighbour) or the image")
        raise InputError(
            f"mask {mask_path} is {labels.shape[1]}×{labels.shape[0]} pixels, its image {image_path} {width}×{height}; "
            f"expected equal sizes; {remedy}"
        )
