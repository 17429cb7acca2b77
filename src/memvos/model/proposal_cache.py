"""Proposals kept in files, <folder>/<video>.npz: how they are written, read, and told from those of other frames."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from memvos.errors import InputError
from memvos.model.interface import Place
from memvos.model.proposal_sources import REMEDY, Frames, in_unit_range, named, placed
from memvos.model.proposals import Proposals, select
from memvos.model.state_files import DAMAGE
from memvos.whole_file import whole_file

FORMAT = 2
CELLS = 4
"""Rows and columns of the look of a frame."""
UNLIKE = 0.04
"""Mean difference of two looks, of 0 … 1, above which frames are taken for different ones; scaling makes about .005."""
ANEW = "write it with `memvos data proposals`"


class KeptVideo(NamedTuple):
    """Proposals of a video.

    Attributes:
        size: (H, W) of its frames, to whose pixels the boxes belong.
        frames: proposals by frame name, one image each.
        looks: (3, 4, 4) uint8 mean colours by frame name.
        facts: plain values: which data, which source.
    """

    size: tuple[int, int]
    frames: dict[str, Proposals]
    looks: dict[str, Tensor]
    facts: dict[str, Any]


class CachedProposals:
    """Proposals kept in files, <folder>/<video>.npz, as `memvos data proposals` writes them.

    Args:
        folder: of the files; None refuses to run.
        most: proposals to keep of a frame.
        overlap: largest box IoU of two of them; None keeps all (they were selected before).
    """

    def __init__(self, folder: str | Path | None = None, most: int = 30, overlap: float | None = None) -> None:
        self.folder, self.most, self.overlap = folder, most, overlap
        self._latest: tuple[str, KeptVideo] | None = None  # one video at a time

    def __call__(self, image: Tensor, place: Place) -> Proposals:
        """Proposals of the frames that `place` names, in pixels of the image.

        Frames may be scaled: boxes go with them. Other frames than those that were kept are refused, mirrored ones too.

        Raises:
            InputError: if there is no folder, the frames have no names, a video or frame is not there, or the images
                have another shape or look different.
        """
        found = []
        for index, (video, frame) in enumerate(named(place, len(image))):
            kept = self._video(video)
            if frame not in kept.frames:
                raise InputError(f"{self._path(video)} has no proposals of frame {frame!r}; {ANEW}")
            self._compare(kept, video, frame, image[index : index + 1], place)
            chosen = select(kept.frames[frame], self.most, self.overlap)
            found.append(placed(chosen, kept.size, image, place))
        return Proposals.join(found).to(image.device)

    def check(self, videos: Sequence[Frames]) -> None:
        """Look, before anything is computed, whether there are proposals of every frame of these videos.

        Raises:
            InputError: if there is no folder, or for the first video that is missing, incomplete or of another size.
        """
        for video in videos:
            header = _header(self._path(video.name))
            if tuple(header["size"]) != tuple(video.size):
                raise InputError(
                    f"{self._path(video.name)} has proposals of frames of {_size(header['size'])} pixels "
                    f"({_origin(header['facts'])}), the data set's have {_size(video.size)}; {ANEW} for these frames"
                )
            if missing := sorted(set(video.frame_names) - set(header["frames"])):
                raise InputError(
                    f"{self._path(video.name)} ({_origin(header['facts'])}) lacks {len(missing)} of "
                    f"{len(video.frame_names)} frames, the first is {missing[0]!r}; {ANEW} for all of them"
                )

    def _path(self, video: str) -> Path:
        if self.folder is None:
            raise InputError(f"no folder of cached proposals is configured; {REMEDY}")
        return Path(self.folder) / f"{video}.npz"

    def _video(self, video: str) -> KeptVideo:
        if self._latest is None or self._latest[0] != video:
            self._latest = video, read_proposals(self._path(video))
        return self._latest[1]

    def _compare(self, kept: KeptVideo, video: str, frame: str, image: Tensor, place: Place) -> None:
        x0, y0, x1, y1 = place.window or (0, 0, image.shape[3], image.shape[2])
        height, width = kept.size
        difference = look(in_unit_range(image[:, :, int(y0) : int(y1), int(x0) : int(x1)].float()))[0].cpu().float()
        unlike = (difference - kept.looks[frame].float()).abs().mean().item() / 255
        skewed = abs((x1 - x0) * height - (y1 - y0) * width) > max(height, width)
        if skewed or unlike > UNLIKE:
            shape = f"{int(y1 - y0)}×{int(x1 - x0)}"
            raise InputError(
                f"{self._path(video)} was written of other frames ({_origin(kept.facts)}, {_size(kept.size)} pixels) "
                f"than the one shown as {frame!r} ({shape}, colours differ by {unlike:.0%}); {ANEW} for these frames, "
                "or choose the folder that belongs to them"
            )


def look(image: Tensor) -> Tensor:
    """What a frame looks like from afar: images (B, 3, H, W) in 0 … 1 → (B, 3, 4, 4) mean colours, uint8."""
    return (F.adaptive_avg_pool2d(image, CELLS) * 255).round().byte()


def write_proposals(
    path: str | Path,
    size: tuple[int, int],
    frames: Mapping[str, Proposals],
    looks: Mapping[str, Tensor],
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the proposals of a video, in one piece or not at all.

    Args:
        path: <folder>/<video>.npz.
        size: (H, W) of the frames, to whose pixels the boxes belong.
        frames: proposals of each frame, one image each.
        looks: `look` of each frame, (3, 4, 4).
        facts: plain values kept beside them: which data, which source.
    """
    parts = list(frames.values())
    header = {"format": FORMAT, "size": list(size), "frames": list(frames), "facts": dict(facts or {})}
    with whole_file(path) as draft, draft.open("wb") as file:
        np.savez_compressed(
            file,
            header=np.array(json.dumps(header)),
            ends=np.cumsum([entry.valid.shape[1] for entry in parts], dtype=np.int64),
            boxes=np.concatenate([entry.boxes[0].cpu().numpy() for entry in parts]).astype(np.float32),
            scores=np.concatenate([entry.scores[0].cpu().numpy() for entry in parts]).astype(np.float32),
            masks=np.concatenate([(entry.masks[0] * 255).round().byte().cpu().numpy() for entry in parts]),
            looks=np.stack([looks[frame].cpu().numpy() for frame in frames]),
        )


def read_proposals(path: str | Path) -> KeptVideo:
    """Proposals of a video.

    Raises:
        InputError: if there is no such file, or it is damaged or of another kind.
    """
    with _opened(path) as (content, header):
        boxes, scores, masks = (torch.from_numpy(content[name]) for name in ("boxes", "scores", "masks"))
        ends, looks = content["ends"].tolist(), torch.from_numpy(content["looks"])
        parts = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        frames = {
            frame: Proposals.of_image(boxes[part], masks[part].float() / 255, scores[part])
            for frame, part in zip(header["frames"], parts, strict=True)
        }
        looks_of = dict(zip(header["frames"], looks, strict=True))
        return KeptVideo(tuple(header["size"]), frames, looks_of, header["facts"])


def facts_of(path: str | Path) -> dict[str, Any]:
    """The plain values that a file was written with; raises as `read_proposals`."""
    return _header(path)["facts"]


def _header(path: str | Path) -> dict[str, Any]:
    with _opened(path) as (_, header):
        return header


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Mapping[str, np.ndarray], dict[str, Any]]]:
    """The arrays of a file, and its header; whatever turns out to be wrong with them is an InputError."""
    if not Path(path).is_file():
        raise InputError(f"no cached proposals at {path}; {ANEW}, or choose another source")
    try:
        with np.load(path) as content:
            if "header" not in content:
                raise InputError(f"{path}: not a file of proposals; {ANEW}")
            header = json.loads(str(content["header"]))
            if header["format"] != FORMAT:
                raise InputError(f"{path} has format {header['format']}, this version reads {FORMAT}; {ANEW}")
            yield content, header
    except InputError:
        raise
    except DAMAGE as fault:
        raise InputError(f"{path} is damaged, or no file of proposals ({fault!r}); {ANEW}") from fault


def _origin(facts: Mapping[str, Any]) -> str:
    return f"{facts['data']} {facts['split']}" if "data" in facts else "of no data set that it names"


def _size(size: Sequence[int]) -> str:
    return f"{size[0]}×{size[1]}"
