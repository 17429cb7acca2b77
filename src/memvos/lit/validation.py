"""J and F on validation videos during training, through the same stepper that evaluates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, WeightAveraging

from memvos.data.clip import ClipBatch
from memvos.data.trees import Video
from memvos.errors import check_number
from memvos.lit.recall_watch import LEAST
from memvos.lit.video_scores import Protocol, VideoScores, score_video
from memvos.metrics import summarise

SHOWN = ("J", "F", "J&F", "J&F_present")


class Validation(Callback):
    """Every so many steps, and after the last, segment validation videos and log the mean J and F of their objects.

    The videos are the datamodule's `val_videos`, shared out over the ranks. Averaged weights, where a weight-averaging
    callback keeps them, are what is validated. Training goes on as if nothing had happened.
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

    def _validate(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        videos = evenly_picked(trainer.datamodule.val_videos, self.videos)
        mine = videos[trainer.global_rank :: trainer.world_size]
        averaging = [callback for callback in trainer.callbacks if isinstance(callback, WeightAveraging)]
        was_training = {module: module.training for module in pl_module.modules()}
        for callback in averaging:
            callback.on_validation_epoch_start(trainer, pl_module)
        precision = "bf16" if "bf16" in str(trainer.precision) else "float32"
        segmenter = Protocol(self.memory, device=str(pl_module.device), precision=precision).segmenter(pl_module.model)
        parts = [score_video(segmenter, video) for video in mine]
        for callback in averaging:
            callback.on_validation_epoch_end(trainer, pl_module)
        for module, mode in was_training.items():
            module.training = mode
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
    """Means over the objects of all ranks, and the recall of the model's proposals; empty where there are none."""
    objects = [score for part in parts for score in part.objects]
    scores = summarise(objects).scores if objects else dict.fromkeys(SHOWN, 0.0)
    covered = [sum(part.covered[index] for part in parts) for index in range(len(LEAST))]
    coverable = sum(part.coverable for part in parts)
    given = [*(scores[name] * len(objects) for name in SHOWN), len(objects), *covered, coverable]
    sums = torch.tensor(given, dtype=torch.float32, device=device)
    sums = trainer.strategy.reduce(sums, reduce_op="sum") if trainer.world_size > 1 else sums
    *totals, count = sums[: len(SHOWN) + 1].tolist()
    *found, there = sums[len(SHOWN) + 1 :].tolist()
    means = {name: total / count for name, total in zip(SHOWN, totals, strict=True)} if count else {}
    return means | ({f"recall@{iou}": n / there for iou, n in zip(LEAST, found, strict=True)} if there else {})
