"""J and F on validation videos during training, through the same stepper that evaluates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from memvos.lit.checkpoints import agreed, asked_to_stop
from memvos.lit.measuring import Measuring, evenly_picked
from memvos.lit.recall_watch import LEAST
from memvos.lit.video_scores import Protocol, VideoScores, score_video

SHOWN = ("J", "F", "J&F", "J&F_present")


class Validation(Measuring):
    """Every so many steps, and after the last, segment validation videos and log the mean J and F of their objects.

    The videos are those of the datamodule's `val_videos` that have masks to score by, shared out over the ranks and
    scored by its `val_protocol`. After a Ctrl-C no further video is begun, and nothing is logged: a stop does not wait
    for the rest.
    """

    def __init__(
        self, every_steps: int = 1000, videos: int | None = 8, memory: str | Mapping[str, Any] = "qdmn"
    ) -> None:
        """How often, on how many of the videos (evenly picked; None: all), and with which memory."""
        super().__init__(every_steps, videos)
        self.memory = memory

    def measured(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        """Means over the objects."""
        scorable = [video for video in trainer.datamodule.val_videos if not video.first_masks_only]
        videos = evenly_picked(scorable, self.videos)
        mine = videos[trainer.global_rank :: trainer.world_size]
        precision = "bf16" if "bf16" in str(trainer.precision) else "float32"
        segmenter = Protocol(self.memory, device=str(pl_module.device), precision=precision).segmenter(pl_module.model)
        parts = []
        for video in mine:
            if asked_to_stop(trainer):
                break
            parts.append(score_video(segmenter, video, scored=trainer.datamodule.val_protocol))
        if agreed(trainer, len(parts) < len(mine)):
            return {}
        return _means(trainer, pl_module.device, parts)


def _means(trainer: pl.Trainer, device: torch.device, parts: list[VideoScores]) -> dict[str, float]:
    """Means over the objects of all ranks, and the recall of the model's proposals; without what nothing defines."""
    rows = [score.measures() for part in parts for score in part.objects]
    known = {name: [row[name] for row in rows if not math.isnan(row[name])] for name in SHOWN}
    coverable = sum(part.coverable for part in parts)
    covered = {f"recall@{iou}": sum(part.covered[index] for part in parts) for index, iou in enumerate(LEAST)}
    totals = {name: (sum(values), len(values)) for name, values in known.items()}
    totals |= {name: (count, coverable) for name, count in covered.items()}
    sums = torch.tensor(list(totals.values()), dtype=torch.float32, device=device)
    sums = trainer.strategy.reduce(sums, reduce_op="sum") if trainer.world_size > 1 else sums
    return {name: total / count for name, (total, count) in zip(totals, sums.tolist(), strict=True) if count}
