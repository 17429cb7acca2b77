"""The dynamically updated memory bank. QDMN §3.3, Algorithm 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import asdict, dataclass, replace
from functools import wraps
from typing import Any

from torch import Tensor

from memvos.errors import check_number, check_switch
from memvos.memory.eviction import Record, evict
from memvos.memory.references import References
from memvos.memory.scores import AVERAGES, FrameScore
from memvos.memory.storage import FrameStore
from memvos.model.interface import Memory, MemoryFrame

_CHOICES = {
    "evict": ("intended", "released"),
    "temporal": ("relative", "frame"),
    "average": AVERAGES,
    "reference": ("annotated", "first_predicted"),
    "reference_average": AVERAGES,
    "eviction_score": ("normalised", "raw"),
    "degenerate": ("raw", "reject"),
}
_SWITCHES = ("retry", "strict_limit", "keep_previous", "keep_annotated", "pin_annotated", "restart")


@dataclass(frozen=True)
class Decision:
    """What the bank did with an offered frame.

    Attributes:
        stored: it was kept for good.
        checked: its interval was over, so its score was put to the gate.
        evicted: times of the frames that made room for it.
        score: S̄^A of the frame (Eq. 3).
    """

    stored: bool
    checked: bool
    evicted: tuple[int, ...] = ()
    score: float = math.nan


def _whole_or_not_at_all(change: Callable[..., Decision]) -> Callable[..., Decision]:
    """A change of the bank that fails or is stopped on the way leaves the bank as it was."""

    @wraps(change)
    def changed(bank: MemoryBank, *args: Any, **options: Any) -> Decision:
        before = vars(bank).copy()
        inner = {"_records": list(bank._records), "_score": copy(bank._score), "_references": copy(bank._references)}
        try:
            with bank._store.undone_on_failure():
                return change(bank, *args, **options)
        except BaseException:
            vars(bank).update(before | inner)
            raise

    return changed


class MemoryBank:
    """Keep the frames worth reading: gate by quality, drop the least useful, never lose the annotated frame.

    Every option is a plain value, so that each reading of the paper is a configuration (the presets of conf/memory).

    Args:
        every: frames between stored predictions; 1 is Algorithm 1 as printed, None stores annotated frames only.
        retry: after a rejection try the next frame again (True), or wait for the next multiple of `every` (False).
        sigma: a prediction is stored if its normalised score is above this; None or 0 switches the gate off.
        beta: when more than `beta` predictions are stored, the next one replaces the worst; None is unlimited.
        strict_limit: count annotated frames too and keep at most `beta` in total (the temporary previous frame comes
            on top). An annotated frame is still never refused: if they are more than `beta`, they are all that is kept.
        keep_previous: the previous frame is read as a temporary last entry, whatever its score.
        keep_annotated: annotated frames stay; False treats them like any previous frame. Where then the previous frame
            is all there is, an object with keys of its own (DMN-AOA) is read from the last frame in which it was seen.
        pin_annotated: annotated frames are never evicted; False counts them among the predictions, with which they
            compete (Algorithm 1 as printed).
        evict: `intended` drops the frame with the lowest reference score; `released` drops the one before it in the
            bank, which is what the released code does and how it loses the annotated frame.
        temporal: Eq. 4 over `relative` indices of stored frames (Algorithm 1) or over `frame` indices (text).
        average: Eq. 3 averages over objects `present` in the frame, over `all`, or over `nonzero` scores.
        reference: Eq. 3 divides by the score of the `annotated` frame (per object, where it was last given and seen),
            or of the `first_predicted` frame after each annotation (released YouTube-VOS script).
        reference_average: as `average`, for the reference frame.
        eviction_score: quality kept for the eviction rule, `normalised` or `raw`.
        restart: at an annotation the eviction rule forgets earlier predictions, which then stay for good.
        degenerate: when the reference is 0 or NaN, use `raw` scores, or `reject` every frame (released code).

    Raises:
        ValueError: if a value is out of range or unknown.
    """

    def __init__(
        self,
        every: int | None = 5,
        sigma: float | None = 0.8,
        beta: int | None = 20,
        *,
        retry: bool = True,
        strict_limit: bool = False,
        keep_previous: bool = True,
        keep_annotated: bool = True,
        pin_annotated: bool = True,
        evict: str = "intended",
        temporal: str = "relative",
        average: str = "present",
        reference: str = "annotated",
        reference_average: str = "present",
        eviction_score: str = "normalised",
        restart: bool = False,
        degenerate: str = "raw",
    ) -> None:
        options = {name: value for name, value in locals().items() if name != "self"}
        _check_options(options)
        self.options: dict[str, Any] = options
        self.every, self.retry, self.sigma, self.beta = every, retry, sigma, beta
        self.strict_limit, self.keep_previous, self.keep_annotated = strict_limit, keep_previous, keep_annotated
        self.pin_annotated, self.evict, self.temporal = pin_annotated, evict, temporal
        self.eviction_score, self.restart = eviction_score, restart
        self._score = FrameScore(average, reference, reference_average, degenerate)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._score.reset()
        self._store = FrameStore()
        self._references = References()
        self._records: list[Record] = []
        self._previous: int | None = None  # time of the temporary entry, which sits in the slot after the records
        self._ranks = 0
        self._annotated_at: int | None = None
        self._stored_at: int | None = None
        self._newest = -1

    def __len__(self) -> int:
        """Number of frames a read sees."""
        return len(self._records) + (self._previous is not None)

    @property
    def nbytes(self) -> int:
        """Bytes allocated for keys and values."""
        return self._store.nbytes

    @property
    def times(self) -> tuple[int, ...]:
        """Frame indices in the order in which they were stored; the temporary entry comes last."""
        return tuple(record.time for record in self._records) + (() if self._previous is None else (self._previous,))

    @property
    def follows(self) -> bool:
        """Must every frame be offered, because the next one is read with it, or scores will be divided by its own?"""
        return self.keep_previous or self._references.previous is not None or self._score.waits

    def due(self, time: int) -> bool:
        """Would a prediction of this frame be put to the gate?"""
        if self.every is None or self._annotated_at is None or (self._full() and not self._evictable()):
            return False  # the last: annotated frames alone fill a strict limit
        if self.retry:
            return time - self._stored_at >= self.every
        return (time - self._annotated_at) % self.every == 0

    @_whole_or_not_at_all
    def annotate(self, frame: MemoryFrame, annotated: Tensor | None = None, present: Tensor | None = None) -> Decision:
        """Store a frame with given masks.

        Args:
            frame: its record.
            annotated: (1, N) bool, objects whose mask was given here; None means all.
            present: (1, N) bool, objects to be seen here; None means those the record describes.

        Raises:
            ValueError: if the frame is not later than every frame before, holds more than one video (B > 1), or does
                not fit the frames stored before; the bank is then as it was, and so it is after any other failure.
        """
        self._advance(frame)
        quality, seen = _scores(frame, present)
        given = [True] * len(quality) if annotated is None else annotated.flatten().tolist()
        self._score.annotate(quality, seen, given)
        self._references.annotate(frame.reference)
        raw, score = self._score.of(quality, seen)
        self._annotated_at = self._stored_at = frame.time
        if not self.keep_annotated:
            self._keep_temporarily(frame)
            return Decision(stored=False, checked=False, score=score)
        if self.restart:
            self._records = [replace(record, evictable=False) for record in self._records]
        counts = self.strict_limit or not self.pin_annotated
        evicted = self._make_room(frame.time) if counts and self._full() and self._evictable() else None
        self._insert(frame, raw, score, evicted, evictable=not self.pin_annotated)
        return Decision(stored=True, checked=False, evicted=_times(evicted), score=score)

    @_whole_or_not_at_all
    def offer(
        self, frame: MemoryFrame, present: Tensor | None = None, temporary: MemoryFrame | None = None
    ) -> Decision:
        """Gate a frame with predicted masks, and keep it as the temporary previous frame if it is not stored.

        Args:
            frame: its record; `quality` decides.
            present: (1, N) bool, objects to be seen in the frame; None means those the record describes.
            temporary: another record of the same frame to serve as the temporary previous frame, also when `frame`
                itself is stored.

        Raises:
            ValueError: before any annotated frame, if time does not increase, B > 1, or sizes or objects do not fit;
                the bank is then as it was, and so it is after any other failure.
        """
        if self._annotated_at is None:
            raise ValueError("the bank is empty; annotate a frame before offering predictions")
        self._advance(frame)
        raw, score = self._score.predicted(*_scores(frame, present))
        checked = self.due(frame.time)
        stored = checked and (not self.sigma or score > self.sigma)
        evicted = self._make_room(frame.time) if stored and self._full() else None
        if stored:
            self._insert(frame, raw, score, evicted, evictable=True)
            self._stored_at = frame.time
        self._references.follow((frame if temporary is None else temporary).reference)
        self._previous = None
        if self.keep_previous and (not stored or temporary is not None):
            self._keep_temporarily(frame if temporary is None else temporary)
        return Decision(stored, checked, _times(evicted), score)

    def read(self) -> Memory:
        """What the next frame reads: the stored frames and the temporary previous one, as views.

        Raises:
            ValueError: if the bank is empty.
        """
        if not len(self):
            raise ValueError("the bank is empty; annotate a frame before reading")
        slots = {record.slot: record.time for record in self._records} | {len(self._records): self._previous}
        times = tuple(slots[slot] for slot in range(len(self)))
        return replace(self._store.read(len(self)), times=times, **self._references.of_memory())

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on bit-equal, as tensors and plain values."""
        return {
            "options": dict(self.options),
            "store": self._store.state_dict(len(self)) if len(self) else {},
            "records": [asdict(record) for record in self._records],
            "previous": self._previous,
            "ranks": self._ranks,
            "annotated_at": self._annotated_at,
            "stored_at": self._stored_at,
            "newest": self._newest,
            "score": self._score.state_dict(),
            "references": self._references.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of a bank with the same options.

        Raises:
            ValueError: if the options differ.
        """
        differing = [name for name, value in self.options.items() if state["options"].get(name) != value]
        if differing:
            there, here = (
                {name: options.get(name) for name in differing} for options in (state["options"], self.options)
            )
            raise ValueError(f"the saved bank has {there}, this one {here}; build it with the saved options")
        self.reset()
        if state["store"]:
            self._store.load_state_dict(state["store"])
        self._records = [Record(**record) for record in state["records"]]
        self._previous, self._ranks = state["previous"], state["ranks"]
        self._annotated_at, self._stored_at = state["annotated_at"], state["stored_at"]
        self._newest = state["newest"]
        self._score.load_state_dict(state["score"])
        self._references.load_state_dict(state["references"])

    def _advance(self, frame: MemoryFrame) -> None:
        if frame.time <= self._newest:
            raise ValueError(f"expected a frame later than frame {self._newest}, got frame {frame.time}")
        if frame.quality.shape[0] != 1:
            raise ValueError(f"expected the record of one video (B = 1), got B = {frame.quality.shape[0]}")
        self._store.check(frame)
        self._newest = frame.time

    def _evictable(self) -> int:
        return sum(record.evictable for record in self._records)

    def _full(self) -> bool:
        if self.beta is None:
            return False
        return len(self._records) >= self.beta if self.strict_limit else self._evictable() > self.beta

    def _make_room(self, time: int) -> Record:
        return evict(self._records, self._ranks + 1, time, self.evict, self.temporal)

    def _insert(self, frame: MemoryFrame, raw: float, score: float, evicted: Record | None, evictable: bool) -> None:
        """Store a frame, in the slot of the evicted one if there is one."""
        slot = len(self._records) if evicted is None else evicted.slot
        kept = score if self.eviction_score == "normalised" else raw
        self._ranks += 1
        self._store.write(slot, frame, self._bound())
        self._records.append(Record(slot, frame.time, self._ranks, kept if math.isfinite(kept) else 0.0, evictable))
        self._previous = None

    def _keep_temporarily(self, frame: MemoryFrame) -> None:
        alone = not self._records  # an object that is out of sight for a frame has nothing else to be found again by
        self._store.write(len(self._records), frame, self._bound(), last_seen=alone)
        self._previous = frame.time

    def _bound(self) -> int | None:
        """Slots that can ever be needed as things stand: the protected frames, the limit, one above it, a temporary."""
        protected = len(self._records) - self._evictable() + 1
        return None if self.beta is None else protected + self.beta + 2


def _scores(frame: MemoryFrame, present: Tensor | None) -> tuple[list[float], list[bool]]:
    """Quality and presence of the N objects as plain lists."""
    seen = frame.valid if present is None else present
    quality = frame.quality.flatten().tolist()
    return quality, [True] * len(quality) if seen is None else seen.flatten().tolist()


def _times(evicted: Record | None) -> tuple[int, ...]:
    return () if evicted is None else (evicted.time,)


def _check_options(options: dict[str, Any]) -> None:
    for name, known in _CHOICES.items():
        if options[name] not in known:
            raise ValueError(f"expected {name} to be one of {', '.join(known)}, got {options[name]!r}")
    check_number("every", options["every"], 1, off=True)
    check_number("beta", options["beta"], 0, off=True)
    check_number("sigma", options["sigma"], 0, whole=False, off=True)
    for name in _SWITCHES:
        check_switch(name, options[name])
    if not (options["keep_annotated"] or options["keep_previous"]):
        raise ValueError("expected keep_annotated or keep_previous, got neither: the bank would be empty")
