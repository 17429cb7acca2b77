"""Test-time augmentation: a video followed at several scales and mirrored, each with a memory of its own, averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from numbers import Real
from typing import Any

import cv2
import numpy as np
import torch

from memvos.decode.masks import check_seen, join_labels, split_masks, to_tensor
from memvos.decode.propagate import Segmenter, Step
from memvos.decode.sizes import check_frame_size, read_frame, with_small_ones
from memvos.errors import InputError, check_switch
from memvos.memory import MemoryBank
from memvos.model.interface import VOSModel


@dataclass(frozen=True)
class View:
    """How a frame is shown. Attributes: scale, ratio of its sides; flip, mirrored left to right."""

    scale: float = 1.0
    flip: bool = False

    def show(self, picture: np.ndarray, interpolation: int) -> np.ndarray:
        """(H, W) or (H, W, 3) as this view has it."""
        if self.scale != 1:
            size = [max(1, round(side * self.scale)) for side in picture.shape[:2]]
            picture = cv2.resize(picture, size[::-1], interpolation=interpolation)
        return picture[:, ::-1].copy() if self.flip else picture

    def show_masks(self, masks: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Masks bool (H, W) by id as this view has them; an object too small for its grid keeps a pixel."""
        if not masks:
            return {}
        whole = np.stack(list(masks.values())).astype(np.uint8)
        shown = np.stack([self.show(mask, cv2.INTER_NEAREST_EXACT) for mask in whole])
        turned = whole[..., ::-1].copy() if self.flip else whole
        kept = with_small_ones(*(torch.from_numpy(part).float().unsqueeze(0) for part in (shown, turned)))
        return dict(zip(masks, kept[0].numpy() > 0, strict=True))

    def undo(self, probabilities: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A map (h, w) of this view in the frame's own size (H, W)."""
        probabilities = probabilities[:, ::-1] if self.flip else probabilities
        if probabilities.shape == size:
            return probabilities
        return cv2.resize(np.ascontiguousarray(probabilities), size[::-1], interpolation=cv2.INTER_LINEAR)


def views(scales: Sequence[float] = (1.0,), flip: bool = False) -> list[View]:
    """Every scale, and mirrored too if `flip`.

    Raises:
        InputError: if there is no scale, one is not above 0 or not finite, or `flip` is neither true nor false.
    """
    check_switch("flip", flip)
    known = list(scales) if isinstance(scales, Iterable) else []
    if not known or not all(isinstance(scale, Real) and 0 < scale < math.inf for scale in known):
        raise InputError(f"got tta scales {scales!r}; expected a list of numbers above 0, e.g. [0.75, 1.0, 1.25]")
    return [View(float(scale), mirrored) for scale in known for mirrored in ((False, True) if flip else (False,))]


class MultiViewSegmenter:
    """Follow one video in several views and average their probabilities; to use as a `Segmenter`.

    Args:
        make: gives a fresh `Segmenter`; one is made for every view.
        chosen: the views.
        short_side: larger frames are scaled down to this many pixels before the views' scales; None: not.
    """

    def __init__(self, make: Callable[[], Segmenter], chosen: Sequence[View], short_side: int | None = None) -> None:
        self._views = [(view, make()) for view in chosen]
        self._short_side = short_side
        self._size: tuple[int, int] | None = None  # of the video's frames

    @property
    def model(self) -> VOSModel:
        """The network, the same for all views."""
        return self._views[0][1].model

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self._views[0][1].device

    @property
    def bank(self) -> MemoryBank:
        """The memory of the first view."""
        return self._views[0][1].bank

    @property
    def ids(self) -> list[int]:
        """The objects so far."""
        return self._views[0][1].ids

    @property
    def frame_size(self) -> None:
        """None: every view has its own."""
        return None

    def reset(self, objects: int | None = None) -> None:
        """Forget the video; `objects` as in `Segmenter.reset`."""
        self._size = None
        for _, segmenter in self._views:
            segmenter.reset(objects)

    def step(
        self,
        frame: np.ndarray | torch.Tensor,
        masks: Any = None,
        *,
        truth: Any = None,
        last: bool = False,
        name: tuple[str, str] | None = None,
    ) -> Step:
        """As `Segmenter.step`; the decision is the first view's, quality the mean of all.

        The network is not told the name: what files hold of a frame does not lie where its other views show it.

        Raises:
            InputError: as there, or if a frame before failed in some of the views only.
        """
        time = self._time()
        frame = read_frame(frame).numpy(force=True)
        size = frame.shape[0], frame.shape[1]
        check_frame_size(size, self._size or size, time)
        split = {} if masks is None else split_masks(masks, size)
        given = _without_overlaps(split)
        true = self._truth(truth, size)
        shown = [self._shown(view, frame, given, true) for view, _ in self._views]
        new = [key for key in given if key not in self.ids]
        for key, (_, parts, _) in product(new, shown):
            check_seen(key, time, split[key], given[key], parts[key])
        steps = [
            segmenter.step(picture, parts or None, truth=labels, last=last)
            for (_, segmenter), (picture, parts, labels) in zip(self._views, shown, strict=True)
        ]
        self._size = size
        pairs = [(view, step) for (view, _), step in zip(self._views, steps, strict=True)]
        ids = list(steps[0].probabilities)
        maps = {key: _mean([view.undo(step.probabilities[key], size) for view, step in pairs]) for key in ids}
        if given:  # has exactly the pixels of its masks
            covered = np.any(list(given.values()), axis=0)
            maps = {key: given[key].astype(np.float32) if key in given else maps[key] * ~covered for key in ids}
        found = {key: [step.quality[key] for step in steps if key in step.quality] for key in ids}  # some did not score
        quality = {key: float(np.mean(values)) for key, values in found.items() if values}
        return replace(steps[0], labels=_winner(maps, size), probabilities=maps, quality=quality)

    def _time(self) -> int:
        """Index of the next frame, the same for all views."""
        times = {segmenter.time for _, segmenter in self._views}
        if len(times) > 1:
            raise InputError(
                f"frame {min(times)} failed in some of the views, the others have it; call reset() to start again"
            )
        return times.pop()

    def _truth(self, truth: Any, size: tuple[int, int]) -> dict[int, np.ndarray] | None:
        """True masks of the frame for a gate that needs them, asked once and not by each view; None if not known."""
        first = self._views[0][1]
        if not first.gate.needs_truth:
            return None
        truth = first.gate.at(first.time) if truth is None else truth
        return None if truth is None else split_masks(truth, size, "the true labels", empty=True)

    def _shown(
        self, view: View, frame: np.ndarray, given: dict[int, np.ndarray], truth: dict[int, np.ndarray] | None
    ) -> tuple[np.ndarray, dict[int, np.ndarray], dict[int, np.ndarray] | None]:
        """Frame, given masks and true ones as a view has them."""
        smaller = min(frame.shape[:2]) if self._short_side is None else min(self._short_side, *frame.shape[:2])
        view = replace(view, scale=view.scale * smaller / min(frame.shape[:2]))
        picture = view.show(frame, cv2.INTER_AREA if view.scale < 1 else cv2.INTER_LINEAR)
        return picture, view.show_masks(given), None if truth is None else view.show_masks(truth)


def _without_overlaps(masks: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Masks bool (H, W) by id without the pixels that later ones have."""
    return dict(zip(masks, to_tensor(masks, torch.device("cpu"))[0].numpy() > 0, strict=True)) if masks else {}


def _mean(maps: list[np.ndarray]) -> np.ndarray:
    return np.mean(maps, axis=0, dtype=np.float32)


def _winner(maps: dict[int, np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Label map (H, W): the object of the largest probability, or background, which has what they leave."""
    stack = np.stack([np.zeros(size, np.float32), *maps.values()])
    stack[0] = 1 - stack[1:].sum(axis=0)
    return join_labels(stack.argmax(axis=0), list(maps))
