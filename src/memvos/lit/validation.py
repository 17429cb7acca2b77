"""J and F on validation videos during training, through the same stepper that evaluates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, WeightAveraging

from memvos.data.clip import ClipBatch
from memvos.data.trees import Video
from memvos.errors import check_number
from memvos.lit.checkpoints import agreed, asked_to_stop
from memvos.lit.recall_watch import LEAST
from memvos.lit.video_scores import Protocol, VideoScores, score_video

SHOWN = ("J", "F", "J&F", "J&F_present")


class Validation(Callback):
    """Every so many steps, and after the last, segment validation videos and log the mean J and F of their objects.

    The videos are those of the datamodule's `val_videos` that have masks to score by, shared out over the ranks and
    scored by its `val_protocol`. Averaged weights, where a weight-averaging
    callback keeps them, are what is validated. Training goes on as if nothing had happened. After a Ctrl-C no further
    video is begun, and nothing is logged: a stop does not wait for the rest.
    """

    def __init__(
        self, every_steps: int = 1000, videos: int | None = 8, memory: str | Mapping[str, Any] = "qdmn"
    ) -> None:
        """How often, on how many of the videos (evenly picked; None: all), and with which memory."""
        check_number("every_steps", every_steps, 1)
        check_number("videos", videos, 0, off=True)
        self.every_steps, self.videos, self.memory = every_steps, videos, memory
        self.latest: dict[str, float] = {}
        self._step = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Validate, if it is time."""
        if trainer.global_step == self._step or not is_due(trainer, self.every_steps):
            return
        self._step = trainer.global_step
        self.latest = self._validate(trainer, pl_module)
        tell(trainer, self.latest)

    def state_dict(self) -> dict[str, Any]:
        """The latest scores, for the record of a training that goes on from its last step."""
        return {"latest": self.latest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them over."""
        self.latest = state_dict["latest"]

    def _validate(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        scorable = [video for video in trainer.datamodule.val_videos if not video.first_masks_only]
        videos = evenly_picked(scorable, self.videos)
        mine = videos[trainer.global_rank :: trainer.world_size]
        averaging = [callback for callback in trainer.callbacks if isinstance(callback, WeightAveraging)]
        was_training = {module: module.training for module in pl_module.modules()}
        for callback in averaging:
            callback.on_validation_epoch_start(trainer, pl_module)
        precision = "bf16" if "bf16" in str(trainer.precision) else "float32"
        segmenter = Protocol(self.memory, device=str(pl_module.device), precision=precision).segmenter(pl_module.model)
        parts = []
        for video in mine:
            if asked_to_stop(trainer):
                break
            parts.append(score_video(segmenter, video, scored=trainer.datamodule.val_protocol))
        for callback in averaging:
            callback.on_validation_epoch_end(trainer, pl_module)
        for module, mode in was_training.items():
            module.training = mode
        if agreed(trainer, len(parts) < len(mine)):
            return {}
        return _means(trainer, pl_module.device, parts)


def is_due(trainer: pl.Trainer, every_steps: int) -> bool:
    """Is it one of every so many steps, or the last?"""
    return trainer.global_step % every_steps == 0 or trainer.global_step == trainer.max_steps


def tell(trainer: pl.Trainer, measured: Mapping[str, float]) -> None:
    """Log what was measured on validation videos, as `val/NAME`, and print it above the progress bar."""
    if not measured:
        return
    step = trainer.global_step
    for logger in trainer.loggers:
        logger.log_metrics({f"val/{name}": value for name, value in measured.items()}, step)
    if trainer.progress_bar_callback is not None:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in measured.items())
        trainer.progress_bar_callback.print(f"step {step}: {shown} on validation videos")


def evenly_picked(videos: Sequence[Video], count: int | None) -> list[Video]:
    """At most `count` of the videos, spread over the list; the same ones every time."""
    if count is None or count >= len(videos):
        return list(videos)
    return [videos[index * len(videos) // count] for index in range(count)]


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
