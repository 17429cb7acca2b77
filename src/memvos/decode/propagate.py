"""The one frame loop: frames in, one at a time; label map, probabilities and quality out. QDMN §3.1."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from memvos.data.clip import normalise
from memvos.decode import resume
from memvos.decode.aggregate import aggregate, put_in, to_masks, to_probabilities, winner
from memvos.decode.corruption import MaskCorruption, NoCorruption, corrupt
from memvos.decode.gate import OracleQuality, PredictedQuality, Scores, true_masks
from memvos.decode.masks import check_seen, join_labels, split_masks, to_tensor
from memvos.decode.precision import autocast, choose_device, choose_precision
from memvos.decode.prior import DoubleSoftmaxPrior, PlainPrior
from memvos.decode.settings import bank_options, make_bank, plain, split_overrides, with_read
from memvos.decode.sizes import FrameSize, check_frame_size, read_frame
from memvos.errors import InputError, check_number, check_switch
from memvos.memory import Decision
from memvos.model.frozen import for_inference
from memvos.model.interface import MemoryFrame, Place, Query, VOSModel

_NOTHING = Decision(stored=False, checked=False)
_PARTS = {"gate": "OracleQuality()", "corruption": "MaskCorruption(0.5)", "prior": "DoubleSoftmaxPrior()"}


class Given(NamedTuple):
    """Masks given by hand with a frame, or none.

    Attributes:
        ids: of the G objects they show.
        whole: (1, G, H, W) of 0 and 1, without overlap, in the frame's size.
        shrunk: (1, G, h, w), the same in the model's size, padded.
    """

    ids: tuple[int, ...] = ()
    whole: Tensor | None = None
    shrunk: Tensor | None = None


@dataclass(frozen=True)
class Step:
    """What a frame gave.

    Attributes:
        labels: label map (H, W) of object ids, 0 = background; uint8, or int32 where an id is above 255.
        probabilities: per object id float32 (H, W) after soft aggregation, in the size of the frame.
        quality: per object id the predicted quality score S^A of this mask; empty where the frame was not memorised.
        stored: the frame is kept in the memory.
        time: the frame's index, counted from 0.
        decision: what the bank did with the frame: checked, stored, its score S̄^A, times of evicted frames.
        corrupted: the bank was offered corrupted masks (an experiment).
    """

    labels: np.ndarray
    probabilities: dict[int, np.ndarray]
    quality: dict[int, float]
    stored: bool
    time: int = 0
    decision: Decision = _NOTHING
    corrupted: bool = False


class Segmenter:
    """Follow the objects of one video from their given masks, frame by frame.

    Args:
        model: the network; it is moved to `device` and put in eval mode. Its weights are taken as they are now.
        memory: name of a preset in conf/memory, or a mapping of `MemoryBank` arguments.
        device: `auto`, `cpu`, `cuda`, …
        precision: `auto` (bf16 where the hardware is fast at it), `float32` or `bf16`.
        gate: where the gate's scores come from; `PredictedQuality()` if None.
        corruption: `MaskCorruption` for the pollution experiment; nothing is corrupted if None.
        prior: how the previous mask is shown to the model; `PlainPrior()` if None.
        short_side: scale larger frames down to this many pixels; results come in the frame's own size.
        score_all: memorise, and so score, every frame; False only those the memory asks for, which is faster.
        overrides: `sigma`, `beta`, `every` of the memory, `top_k`, `kernel` of the model's read; None switches a limit
            off.

    Raises:
        InputError: not a model, an unknown or impossible preset, override, device, precision or short side, or a gate,
            corruption or prior that is a name or a class.
    """

    def __init__(
        self,
        model: VOSModel,
        memory: str | Mapping[str, Any] = "qdmn",
        device: str | torch.device = "auto",
        precision: str = "auto",
        *,
        gate: PredictedQuality | OracleQuality | None = None,
        corruption: NoCorruption | MaskCorruption | None = None,
        prior: PlainPrior | DoubleSoftmaxPrior | None = None,
        short_side: int | None = None,
        score_all: bool = True,
        **overrides: Any,
    ) -> None:
        if not isinstance(model, VOSModel):
            got = type(model).__name__
            raise InputError(f"expected a network as model, got a {got}; load one, e.g. memvos.load_model('qdmn')")
        for key, part in (("gate", gate), ("corruption", corruption), ("prior", prior)):
            if isinstance(part, type) or not (part is None or callable(part)):
                raise InputError(f"expected {key} as an object that is called, e.g. {_PARTS[key]}, got {part!r}")
        check_switch("score_all", score_all)
        of_memory, of_read = split_overrides(overrides)
        self.short_side = plain(short_side)
        check_number("short_side", self.short_side, 1, off=True)
        self.bank = make_bank({**bank_options(memory), **of_memory})
        self.device = choose_device(device)
        self.dtype = choose_precision(precision, self.device)
        network = with_read(model.to(self.device, memory_format=torch.channels_last).eval(), of_read)
        self.model = for_inference(network, self.dtype)
        self.gate = gate or PredictedQuality()
        self.corruption = corruption or NoCorruption()
        self.prior = prior or PlainPrior()
        self.score_all = score_all
        self.reset()

    def reset(self, objects: int | None = None) -> None:
        """Forget the video; the next step is frame 0 of another one.

        Args:
            objects: how many objects that one will have, where it is known; `DoubleSoftmaxPrior` alone asks.
        """
        self.bank.reset()
        self.objects = objects
        self.ids: list[int] = []
        self.since: tuple[int, ...] = ()  # for each object the frame with which it was first given
        self.time = 0
        self._size: FrameSize | None = None
        self._previous: Tensor | None = None  # (1, N + 1, h, w) aggregated probabilities of the last frame, padded
        self._salt = 0

    @torch.inference_mode()
    def step(
        self,
        frame: np.ndarray | Tensor,
        masks: Any = None,
        *,
        truth: Any = None,
        last: bool = False,
        name: tuple[str, str] | None = None,
    ) -> Step:
        """Segment the next frame. Bad input, and a model that fails, leave the segmenter as it was.

        Args:
            frame: uint8 RGB (H, W, 3).
            masks: masks given by hand, at any frame: a label map (H, W) or {id: bool (H, W)}. New ids become new
                objects, known ids are corrected, objects not named are predicted; given masks have the pixel.
            truth: true masks, as `masks`, for a gate that needs them; never seen by the model. Where it is None, a
                frame is not stored by such a gate, unless its masks are given.
            last: the video ends here: the frame, unless masks are given with it, is neither memorised nor scored (as in
                the released code).
            name: of the video and of the frame, by which a model looks up what is kept in files (DMN-AOA's proposals).

        Raises:
            InputError: a first frame without masks, a frame of another size or type, masks that do not fit.
        """
        pixels = read_frame(frame)
        size = self._fit((pixels.shape[0], pixels.shape[1]))
        given = self._given(masks, size)
        new = [key for key in given.ids if key not in self.ids]
        true = self._true_masks(truth, [*self.ids, *new], size)
        before = self._size, self.ids, self.since, self._salt
        self._size = size
        try:
            image = size.shrink(normalise(pixels.to(self.device)).unsqueeze(0))
            with autocast(self.device, self.dtype):
                since = self.since + (self.time,) * len(new)
                place = Place(self.time, () if name is None else (name,), size.window, since)
                query = self.model.query(image.contiguous(memory_format=torch.channels_last), place)
                probabilities = self._segment(query, given)
            labels, objects = self._result(probabilities, given)
            with autocast(self.device, self.dtype):  # last, for only the bank itself can undo what it does
                quality, decision, corrupted = self._memorize(query, probabilities, given, true, last)
        except BaseException:  # out of memory, or stopped: the frame may come again
            self._size, self.ids, self.since, self._salt = before
            raise
        self._previous = probabilities
        self.time += 1
        return Step(labels, objects, quality, decision.stored, self.time - 1, decision, corrupted)

    @property
    def frame_size(self) -> FrameSize | None:
        """The sizes of the video's frames; None before the first."""
        return self._size

    def save(self, path: str | Path) -> None:
        """Write everything needed to go on bit-equal, as plain tensors and values.

        Raises:
            InputError: if the file cannot be written.
        """
        resume.save(self, path)

    def load(self, path: str | Path) -> None:
        """Go on where `save` was called, with the same model, memory and precision.

        Raises:
            InputError: if the file is damaged, or from another model, version, memory or precision.
        """
        resume.load(self, path)

    def _fit(self, size: tuple[int, int]) -> FrameSize:
        if self._size is None:
            return FrameSize.fit(size, self.model.pad_to, self.short_side)
        check_frame_size(size, self._size.size, self.time)
        return self._size

    def _given(self, masks: Any, size: FrameSize) -> Given:
        """The masks as the model will see them; those of new objects show something."""
        split = {} if masks is None else split_masks(masks, size.size)
        if not split:
            if not self.ids:
                raise InputError(f"frame {self.time} comes before any mask; give masks with the first frame")
            return Given()
        whole = to_tensor(split, self.device)
        shrunk = size.shrink_masks(whole)
        for slot, (key, mask) in enumerate(split.items()):
            if key not in self.ids:
                check_seen(key, self.time, mask, whole[0, slot], size.crop(shrunk)[0, slot])
        return Given(tuple(split), whole, shrunk)

    def _true_masks(self, truth: Any, ids: list[int], size: FrameSize) -> Tensor | None:
        """True masks (1, N, h, w) bool of all objects for a gate that needs them; None where they are not known."""
        if not self.gate.needs_truth:
            return None
        if truth is None:
            truth = self.gate.at(self.time)
        return None if truth is None else true_masks(truth, ids, size, self.device)

    def _segment(self, query: Query, given: Given) -> Tensor:
        """Aggregated probabilities (1, N + 1, h, w): predicted, with the given masks put in."""
        new = [key for key in given.ids if key not in self.ids]
        if self.ids and not set(self.ids) <= set(given.ids):
            logits = self.model.segment(query, self.bank.read(), self.prior(self._previous, self.objects))
            predicted = to_probabilities(aggregate(logits.float().sigmoid()))
        else:
            predicted = query.image.new_zeros(1, len(self.ids) + 1, *query.image.shape[2:])
        self.ids, self.since = self.ids + new, query.place.since
        if not given.ids:
            return predicted
        if not self._salt:
            self._salt = zlib.crc32(given.shrunk.cpu().numpy().tobytes())
        objects = torch.cat([predicted[:, 1:], predicted.new_zeros(1, len(new), *predicted.shape[2:])], dim=1)
        return put_in(objects, given.shrunk, [self.ids.index(key) for key in given.ids])

    def _memorize(
        self, query: Query, probabilities: Tensor, given: Given, truth: Tensor | None, last: bool
    ) -> tuple[dict[int, float], Decision, bool]:
        """Score the frame and hand it to the bank: (quality per id, decision, corrupted)."""
        due = self.bank.due(self.time)
        wanted = due or self.bank.follows or self.score_all
        if not given.ids and (last or not wanted):
            return {}, _NOTHING, False
        # Where the gate needs the truth and has none, given masks are the truth of their objects.
        alone = bool(given.ids) and truth is None and self.gate.needs_truth
        known = self._size.crop(to_masks(probabilities)) if alone else truth
        record, scores = self._record(query, probabilities, known)
        quality = dict(zip(self.ids, record.quality[0].tolist(), strict=True))
        if given.ids:
            annotated = torch.tensor([[key in given.ids for key in self.ids]], device=scores.present.device)
            present = scores.present & annotated if alone else scores.present
            record = replace(record, quality=scores.quality)
            return quality, self.bank.annotate(record, annotated, present), False
        polluted = corrupt(self.corruption, probabilities, self._size, self.time, self._salt) if due else None
        if polluted is None:
            return quality, self.bank.offer(replace(record, quality=scores.quality), scores.present), False
        offered, scores = self._record(query, polluted, truth)
        offered = replace(offered, quality=scores.quality)
        return quality, self.bank.offer(offered, scores.present, temporary=record), True

    def _record(self, query: Query, probabilities: Tensor, truth: Tensor | None) -> tuple[MemoryFrame, Scores]:
        """The frame as the model memorises it with these masks, and the gate's scores of them."""
        record = replace(self.model.memorize(query, probabilities[:, 1:]), time=self.time)
        return record, self.gate(record, self._size.crop(to_masks(probabilities)), truth)

    def _result(self, probabilities: Tensor, given: Given) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """Labels (H, W) and probabilities by id; given objects have exactly the pixels of their masks."""
        maps = self._size.restore(probabilities)
        if given.ids and self._size.inner != self._size.size:
            objects = maps[:, 1:] * (1 - given.whole.amax(dim=1, keepdim=True))
            objects[:, [self.ids.index(key) for key in given.ids]] = given.whole
            maps = torch.cat([(1 - objects.sum(dim=1, keepdim=True)).clamp(min=0), objects], dim=1)
        labels = join_labels(winner(maps)[0].cpu().numpy(), self.ids)
        return labels, dict(zip(self.ids, maps[0, 1:].cpu().numpy().copy(), strict=True))
