"""Which stored frame makes room for a new one. QDMN Algorithm 1, lines 10-18."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memvos.memory.scores import temporal_consistency


@dataclass(frozen=True)
class Record:
    """A stored frame: where its tensors are, its place in time, and what the eviction rule knows of it.

    Attributes:
        slot: of the store.
        time: index of the frame in its video.
        rank: relative index, counted over the frames ever stored, from 1.
        score: quality that the rule compares.
        evictable: it may be evicted.
    """

    slot: int
    time: int
    rank: int
    score: float
    evictable: bool


def evict(records: list[Record], rank: int, time: int, rule: str = "intended", temporal: str = "relative") -> Record:
    """Take the record with the lowest reference score S^R = S^A + S^C out of the list; the first of equals.

    Args:
        records: in bank order, at least one evictable; changed.
        rank: relative index of the new frame.
        time: frame index of the new frame.
        rule: `intended`, or `released`: there a position in the list of predictions is used as the slot of a tensor
            that starts with the annotated frame, so the frame before the worst is lost, and the worst goes on under
            the entry (rank, score, protection) of that frame. If the oldest prediction is the worst, the annotated
            frame is lost.
        temporal: S^C from `relative` indices or from `frame` indices.

    Returns:
        The record of the frame that is lost.
    """

    def reference_score(index: int) -> float:
        record = records[index]
        now, then = (rank, record.rank) if temporal == "relative" else (time, record.time)
        return record.score + temporal_consistency(now, then)

    worst = min((index for index, record in enumerate(records) if record.evictable), key=reference_score)
    lost = records.pop(worst)
    if rule == "released" and worst > 0:
        before = records[worst - 1]
        records[worst - 1] = replace(before, slot=lost.slot, time=lost.time)
        lost = replace(lost, slot=before.slot, time=before.time)
    return lost
