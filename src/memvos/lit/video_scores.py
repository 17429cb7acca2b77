"""One video through the stepper: J and F per object and frame, quality scores beside true IoU, what the bank did."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from memvos.data.full_video import FullVideo, Truth
from memvos.data.trees import Video
from memvos.decode import MaskCorruption, NoCorruption, OracleQuality, PredictedQuality, Segmenter, Step
from memvos.decode.precision import choose_device, choose_precision
from memvos.decode.prior import PRIORS
from memvos.decode.settings import bank_options, make_bank, split_overrides
from memvos.decode.views import MultiViewSegmenter, views
from memvos.decode.writers import MaskWriter, write_given
from memvos.errors import InputError, check_number
from memvos.lit.read_watch import ReadWatch
from memvos.lit.recall_watch import LEAST, RecallWatch
from memvos.metrics import ObjectScore, SequenceScorer, SpeedMeter, resident_mib
from memvos.model.interface import VOSModel

GATES = {"predicted": PredictedQuality, "oracle": OracleQuality}
READ_EVERY = 8
"""Every how many frames the deviation of the read's logits is taken."""


@dataclass(frozen=True)
class Protocol:
    """How videos are segmented: everything beside the model and the videos that changes the scores.

    Attributes:
        memory: name of a preset in conf/memory, or `MemoryBank` arguments.
        previous_mask: how the previous mask is shown to the model, "plain" or, as in the released YouTube-VOS script,
            "double_softmax".
        gate: what decides over storing a frame, "predicted" (the model's score) or "oracle" (true IoU).
        corruption_rate: ratio of the frames offered to the bank whose masks are corrupted.
        corruption_seed: of the corruption.
        device: see `Segmenter`.
        precision: see `Segmenter`.
        short_side: see `Segmenter`; pixels.
        tta: test-time augmentation, `scales` and `flip` of `memvos.decode.views.views`; None shows every frame once.
        scored: the frames that count, a name of `memvos.metrics.SCORED`.
        overrides: `sigma`, `beta`, `every`, `top_k`, `kernel`.

    Raises:
        InputError: if a setting is unknown or cannot be.
    """

    memory: str | Mapping[str, Any] = "qdmn"
    previous_mask: str = "plain"
    gate: str = "predicted"
    corruption_rate: float = 0.0
    corruption_seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    short_side: int | None = None
    tta: Mapping[str, Any] | None = None
    scored: str = "davis"
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, choices in (("gate", GATES), ("previous_mask", PRIORS)):
            if getattr(self, key) not in choices:
                raise InputError(f"unknown {key} {getattr(self, key)!r}; expected one of {', '.join(choices)}")
        choose_precision(self.precision, choose_device(self.device))
        make_bank({**bank_options(self.memory), **split_overrides(dict(self.overrides))[0]})
        check_number("short_side", self.short_side, 1, off=True)
        self._corruption()
        self._views()

    def segmenter(self, model: VOSModel) -> Segmenter | MultiViewSegmenter:
        """A stepper that follows this protocol.

        Raises:
            InputError: as `Segmenter` and `views`.
        """
        chosen = self._views()
        if chosen is None:
            return self._plain(model, self.short_side)
        return MultiViewSegmenter(lambda: self._plain(model, None), chosen, self.short_side)

    def _views(self) -> Any:
        try:
            return None if self.tta is None else views(**self.tta)
        except TypeError as fault:
            raise InputError(f"got tta={self.tta!r}; expected scales=[...] and flip=true or false") from fault

    def _corruption(self) -> NoCorruption | MaskCorruption:
        rate = self.corruption_rate
        return MaskCorruption(rate, self.corruption_seed) if rate else NoCorruption()

    def _plain(self, model: VOSModel, short_side: int | None) -> Segmenter:
        return Segmenter(
            model,
            self.memory,
            self.device,
            self.precision,
            gate=GATES[self.gate](),
            prior=PRIORS[self.previous_mask](),
            corruption=self._corruption(),
            short_side=short_side,
            **self.overrides,
        )


@dataclass(frozen=True)
class FrameQuality:
    """One line of quality.csv: an object's predicted score and true IoU on a frame, and what became of the frame.

    `iou` is None where it is not defined or not known: no ground truth, or the object neither there nor predicted.
    `evicted` names the frames that made room for this one.
    """

    video: str
    frame: str
    object: int
    quality: float
    iou: float | None
    stored: bool
    evicted: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameCourse:
    """What a frame took: seconds in the stepper, frames the memory holds after it, MiB of those and of the process."""

    frame: int
    seconds: float
    memory_frames: int
    memory_mib: float
    resident_mib: float


@dataclass
class VideoScores:
    """All that is known of one segmented video.

    Attributes:
        objects: scores per object.
        quality: one entry per frame and object predicted there, also where another object is given.
        frames: number of frames, without those before the first object is given.
        predicted: frames without given masks; `checked` of them were put to the gate, `stored` passed.
        corrupted: of those checked, frames offered with corrupted masks; `corrupted_stored` of them passed.
        seconds: spent in the stepper.
        memory_frames: mean number of frames that a read sees.
        logit_std: mean deviation of the read's logits; None where the model has no such read.
        course: one entry for each of `frames`.
        covered: true objects that a proposal of the model covers at mask IoU .5 and .7, over all predicted frames.
        coverable: all true objects in frames with proposals; 0 where the model has none.
    """

    objects: list[ObjectScore]
    quality: list[FrameQuality] = field(default_factory=list)
    frames: int = 0
    predicted: int = 0
    checked: int = 0
    stored: int = 0
    corrupted: int = 0
    corrupted_stored: int = 0
    seconds: float = 0.0
    memory_frames: float = 0.0
    logit_std: float | None = None
    course: list[FrameCourse] = field(default_factory=list)
    covered: tuple[int, ...] = (0,) * len(LEAST)
    coverable: int = 0

    def as_plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        objects = [
            {**vars(score), "j": score.j.tolist(), "f": score.f.tolist(), "present": score.present.tolist()}
            for score in self.objects
        ]
        lists = {name: [vars(line) for line in getattr(self, name)] for name in ("quality", "course")}
        return {**vars(self), "objects": objects, **lists}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> VideoScores:
        """Undo `as_plain`."""
        objects = [
            ObjectScore(
                entry["video"],
                entry["object"],
                np.array(entry["j"], float),
                np.array(entry["f"], float),
                np.array(entry["present"], bool),
                tuple(entry["attributes"]),
                entry["category"],
            )
            for entry in plain["objects"]
        ]
        quality = [FrameQuality(**{**line, "evicted": tuple(line["evicted"])}) for line in plain["quality"]]
        course = [FrameCourse(**line) for line in plain["course"]]
        lists = {"objects": objects, "quality": quality, "course": course, "covered": tuple(plain["covered"])}
        return cls(**{**plain, **lists})


PART_FORM = {
    kind.__name__: [field.name for field in fields(kind)]
    for kind in (VideoScores, ObjectScore, FrameQuality, FrameCourse)
}
"""What `VideoScores.as_plain` holds: scores that another version of these classes kept are none of this one's."""


def score_video(segmenter: Segmenter, video: Video, masks_to: Path | None = None, scored: str = "davis") -> VideoScores:
    """Segment and score one video.

    Every object is given where it first appears in the ground truth (in the first frame, unless the tree says that
    objects may enter late) and predicted from then on; no later ground truth reaches the model. The frame on which an
    object is given does not count; `scored` says which others do. Frames before the first object are passed over.

    Args:
        segmenter: the stepper; it is reset.
        video: with masks at least on the first frame.
        masks_to: folder for label images (palette PNG, one per frame) and given.json; None writes none.
        scored: a name of `memvos.metrics.SCORED`.

    Raises:
        InputError: for a frame that cannot be segmented, with its name and the video's.
    """
    segmenter.reset(len(video.object_ids))
    scorer = SequenceScorer(video.name, video.object_ids, video.attributes, video.categories, scored)
    result = VideoScores([])
    meter = SpeedMeter(torch.cuda.synchronize if segmenter.device.type == "cuda" else None)
    annotations, given, held, steps = Truth(video), {}, 0, []
    masks = None if masks_to is None else MaskWriter(masks_to)
    waiting = set(video.object_ids)
    with ReadWatch(segmenter.model, meter.pause) as watch, RecallWatch(segmenter.model) as proposals:
        for frame in FullVideo(video):
            truth = annotations.labels(frame.index)
            if frame.masks is None and not segmenter.ids:
                scorer.append({})
                if masks is not None:
                    masks.write(frame.name, np.zeros(frame.image.shape[:2], np.uint8))
                continue
            watch.listening = frame.index % READ_EVERY == READ_EVERY // 2
            before = meter.seconds
            try:
                with meter.frame():
                    step = segmenter.step(frame.image, frame.masks, truth=truth, name=(video.name, frame.name))
            except InputError as error:
                raise InputError(f"video {video.name!r}, frame {frame.name}: {error}") from error
            steps.append(frame.name)
            scorer.add(truth, step.labels, skip=waiting)
            proposals.compare(truth, segmenter.ids, segmenter.frame_size)
            waiting -= set(frame.entering)
            bank = segmenter.bank
            held += len(bank)
            seconds, mib = meter.seconds - before, bank.nbytes / 2**20
            result.course.append(FrameCourse(frame.index, seconds, len(bank), mib, resident_mib()))
            if frame.entering:
                given[frame.name] = frame.entering
            else:
                _count(result, step)
            result.quality += _quality(step, truth, frame.entering, video.name, steps)
            if masks is not None:
                masks.write(frame.name, step.labels)
    result.objects, result.seconds, result.frames = scorer.scores(), meter.seconds, len(result.course)
    result.memory_frames = held / result.frames
    result.logit_std = watch.mean
    if masks_to is not None:
        write_given(masks_to, given)
    result.covered, result.coverable = tuple(proposals.covered), proposals.objects
    return result


def _count(result: VideoScores, step: Step) -> None:
    """Add what became of a frame without given masks."""
    result.predicted += 1
    result.checked += step.decision.checked
    result.stored += step.decision.stored
    result.corrupted += step.corrupted
    result.corrupted_stored += step.corrupted and step.stored


def _quality(
    step: Step, truth: np.ndarray | None, given: Collection[int], video: str, steps: Sequence[str]
) -> list[FrameQuality]:
    """The objects that were predicted in the last of the steps, which are here by their frames' names."""
    predicted = {key: score for key, score in step.quality.items() if key not in given}
    ious = {key: None if truth is None else _iou(truth == key, step.labels == key) for key in predicted}
    evicted = tuple(steps[time] for time in step.decision.evicted)
    return [
        FrameQuality(video, steps[-1], key, score, ious[key], step.stored, evicted) for key, score in predicted.items()
    ]


def _iou(truth: np.ndarray, prediction: np.ndarray) -> float | None:
    union = np.count_nonzero(truth | prediction)
    return np.count_nonzero(truth & prediction) / union if union else None
