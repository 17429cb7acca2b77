"""What goes into a training clip: which source, which frames, which objects (QDMN §4.1; facts of the released code)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from memvos.data.clip import Clip, normalise
from memvos.data.trees import Tree
from memvos.errors import InputError

MAX_SKIP = {
    "davis": ((0.1, 5), (0.2, 10), (0.3, 15), (0.4, 25), (0.7, 10), (0.9, 5), (1.0, 1)),
    "youtube": ((0.1, 1), (0.2, 2), (0.3, 3), (0.4, 4), (0.7, 5), (0.9, 2), (1.0, 1)),
    "bl30k": ((0.1, 5), (0.2, 10), (0.3, 15), (0.4, 20), (0.8, 25), (1.0, 10)),
    "mivos": ((0.1, 5), (0.2, 10), (0.3, 15), (0.4, 20), (0.9, 25), (1.0, 5)),
    "mivos_youtube": ((0.1, 1), (0.2, 2), (0.3, 3), (0.4, 4), (0.9, 5), (1.0, 1)),
}
"""The released max-skip curricula: (share of the training until which it holds, annotated frames to skip at most).

They widen, then narrow. YouTube-VOS is annotated at every fifth frame: 5 there are 25 frames of video. Those of MiVOS,
whose training QDMN's began from, are one list in frames for both sets.
"""


class MaxSkip:
    """The max-skip curriculum: the largest step between the frames of a clip, as a function of training progress."""

    def __init__(self, schedule: str | int | Sequence[Sequence[float]] = "davis") -> None:
        """Take a name of `MAX_SKIP`, one number for the whole training, or pairs (share until which it holds, skip).

        Raises:
            InputError: for an unknown name, or pairs whose shares do not rise to 1 or whose skips are below 1.
        """
        if isinstance(schedule, str) and schedule not in MAX_SKIP:
            raise InputError(f"got max_skip={schedule!r}; expected one of {', '.join(MAX_SKIP)}, a number, or pairs")
        if isinstance(schedule, int):
            schedule = ((1.0, schedule),)
        pairs = MAX_SKIP[schedule] if isinstance(schedule, str) else schedule
        self.until = [float(until) for until, _ in pairs]
        self.skips = [int(skip) for _, skip in pairs]
        if self.until != sorted(set(self.until)) or self.until[-1:] != [1.0] or min(self.skips, default=0) < 1:
            raise InputError(
                f"got max_skip={list(pairs)}; expected pairs [share, skip], shares rising to 1, skips from 1"
            )

    def at(self, progress: float) -> int:
        """The largest step, in annotated frames, at a progress in [0, 1]."""
        return self.skips[bisect_left(self.until, min(progress, 1.0))]


@dataclass(frozen=True)
class Source:
    """A tree in a mixture.

    Attributes:
        tree: where the items come from.
        repeat: how often each item comes in a round.
        max_skip: the tree's own curriculum, or None for the common one.
    """

    tree: Tree
    repeat: int = 1
    max_skip: MaxSkip | None = None

    @classmethod
    def of(cls, entry: Source | Tree | Mapping[str, Any]) -> Source:
        """A source from a tree alone, or from {tree, repeat, max_skip} as configurations give it."""
        if isinstance(entry, Source):
            return entry
        if not isinstance(entry, Mapping):
            return cls(entry)
        unknown = set(entry) - {"tree", "repeat", "max_skip"}
        if unknown or "tree" not in entry:
            raise InputError(f"got a data source with {', '.join(map(str, entry))}; expected tree, repeat and max_skip")
        skip = entry.get("max_skip")
        repeat = int(entry.get("repeat", 1))
        if repeat < 1:
            raise InputError(f"got repeat={repeat} for {entry['tree'].name}; expected 1 or more; leave the source out")
        return cls(entry["tree"], repeat, skip if skip is None or isinstance(skip, MaxSkip) else MaxSkip(skip))


class Rounds:
    """An endless, seeded order of `count` items: round after round, each a fresh permutation; random access."""

    def __init__(self, count: int, seed: int) -> None:
        if count < 1:
            raise InputError("got no training item; expected at least one image or video; name a tree that has some")
        self.count = count
        self._seed = seed
        self._recent: dict[int, np.ndarray] = {}

    def __getitem__(self, n: int) -> int:
        """The item at position n of the order."""
        number, place = divmod(n, self.count)
        if number not in self._recent:
            last = list(self._recent.items())[-1:]
            self._recent = {
                **dict(last),
                number: np.random.default_rng([self._seed, 0, number]).permutation(self.count),
            }
        return int(self._recent[number][place])


def sample_frames(count: int, frames: int, max_skip: int, rng: np.random.Generator, reverse: float = 0.0) -> list[int]:
    """Draw `frames` of `count` frames in time order, each 1 … `max_skip` after the one before.

    Steps are drawn uniformly, limited so that the frames fit; then the start is drawn uniformly. Frames never coincide
    (the released code lets them, when it clips a step at the end of a video), unless the video has fewer than `frames`.

    Args:
        count: frames to draw from.
        frames: frames of a clip, T.
        max_skip: largest step, in frames.
        rng: source of chance.
        reverse: probability of reversed time (released code .5; the paper's clips are chronological, 0).
    """
    limit = max(1, min(max_skip, (count - 1) // max(1, frames - 1)))
    places = np.concatenate([[0], np.cumsum(rng.integers(1, limit + 1, frames - 1))])
    places = places + rng.integers(0, max(1, count - int(places[-1])))
    chosen = [min(int(place), count - 1) for place in places]
    return chosen[::-1] if rng.random() < reverse else chosen


def choose_objects(labels: np.ndarray, most: int, least_pixels: int, rng: np.random.Generator) -> list[int]:
    """Draw at most `most` of the object ids that cover at least `least_pixels` pixels of a label map (H, W)."""
    most_ids = int(labels.max(initial=0))  # few, nearly always: counting each is faster than all of a histogram
    present = [value for value in range(1, most_ids + 1) if np.count_nonzero(labels == value) >= least_pixels]
    return [int(value) for value in rng.permutation(present)[:most]]


def make_clip(
    images: np.ndarray, labels: np.ndarray, ids: Sequence[int], slots: int, name: str, times: Sequence[int]
) -> Clip:
    """Put frames and the masks of the chosen objects into a clip; other objects are background.

    Args:
        images: uint8 RGB (T, H, W, 3).
        labels: uint8 (T, H, W).
        ids: object ids for the first slots.
        slots: N.
        name: where the clip comes from.
        times: index of each frame in its video; offsets to the first are kept.
    """
    masks = np.empty((len(labels), slots, *labels.shape[1:]), np.float32)
    for slot in range(slots):
        masks[:, slot] = labels == ids[slot] if slot < len(ids) else 0
    valid = torch.arange(slots) < len(ids)
    offsets = torch.tensor([abs(time - times[0]) for time in times])
    return Clip(normalise(torch.from_numpy(images)), torch.from_numpy(masks), valid, name, offsets)
