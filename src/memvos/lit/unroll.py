"""A network's way through a training clip, without Lightning. QDMN §3.5 and §4.1; order of operations as released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from memvos.data.clip import ClipBatch
from memvos.decode.aggregate import aggregate, to_probabilities
from memvos.errors import InputError
from memvos.model.interface import Memory, Place, Query, VOSModel


@dataclass(frozen=True)
class SegmentedFrame:
    """What a network made of one frame of a clip batch.

    Attributes:
        time: index of the frame in the clip, at least 1 (frame 0 is given).
        query: the frame as the network saw it before it knew masks.
        logits: aggregated log-odds (B, N+1, H, W), background first, float32.
        probabilities: of the objects (B, N, H, W), float32.
        shown: the masks (B, N, H, W) that later frames see of this one: the probabilities, or the true masks.
        quality: predicted S^A (B, N) of the masks in `shown`, float32; None for a last frame that was not scored.
        found: what else the network found on its way (DMN-AOA: its `Match`), or None.
    """

    time: int
    query: Query
    logits: Tensor
    probabilities: Tensor
    shown: Tensor
    quality: Tensor | None
    found: Any = None


def unroll(
    model: VOSModel, batch: ClipBatch, score_last: bool = True, forced: Tensor | None = None
) -> list[SegmentedFrame]:
    """Segment frames 1 … T-1 of every clip, each from all frames before it.

    Frame 0 is memorised with its true masks, every later one with its own soft prediction, through which the gradient
    of later frames flows; the prior of the next frame is the same prediction without gradient. Where teachers force
    (`forced`), true masks stand in for the prediction.

    Args:
        model: the network.
        batch: clips of T frames, masks (B, T, N, H, W).
        score_last: memorise the last frame too, which no frame reads, for its quality score.
        forced: (T, B) bool, frames whose true masks are shown to later ones; None for those of frame 0 alone.

    Returns:
        One `SegmentedFrame` per frame after the first.

    Raises:
        InputError: if the clips have fewer than two frames, which train detectors alone.
    """
    length = batch.frames.shape[1]
    if length < 2:
        raise InputError(
            f"expected clips of at least 2 frames, the first with its masks, got T={length}; give data.main.frames (or "
            "data.pretrain.frames) of 2 or more"
        )
    given = batch.masks[:, 0]
    records = [model.memorize(model.query(batch.frames[:, 0], Place(batch.time(0))), given)]
    previous, results = given, []
    for time in range(1, length):
        query = model.query(batch.frames[:, time], Place(batch.time(time)))
        segmented, found = model.follow(query, Memory.stack(records), previous)
        alone = torch.sigmoid(segmented.float())
        logits = aggregate(alone, batch.valid)
        probabilities = to_probabilities(logits)[:, 1:]
        shown, quality = probabilities, None
        if forced is not None:
            shown = torch.where(forced[time].view(-1, 1, 1, 1), batch.masks[:, time], probabilities)
        if score_last or time < length - 1:
            records.append(model.memorize(query, shown))
            quality = records[-1].quality.float()
        results.append(SegmentedFrame(time, query, logits, probabilities, shown, quality, found))
        previous = shown.detach()
    return results
