"""Measuring on validation videos during training: when, with which weights, and what is told and kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, WeightAveraging

from memvos.data.clip import ClipBatch
from memvos.data.trees import Video
from memvos.errors import check_number
from memvos.lit.callbacks import is_due


class Measuring(Callback, ABC):
    """Every so many steps, and after the last, measure something on validation videos; log it as `val/NAME`, print it.

    Averaged weights, where a weight-averaging callback keeps them, are what is measured, for they are what is kept.
    Training goes on as if nothing had happened. The record of the run keeps the last values.
    """

    def __init__(self, every_steps: int, videos: int | None) -> None:
        """How often, and on how many of the videos (evenly picked; None: all)."""
        check_number("every_steps", every_steps, 1)
        check_number("videos", videos, 0, off=True)
        self.every_steps, self.videos = every_steps, videos
        self.latest: dict[str, float] = {}
        self._step = 0

    @abstractmethod
    def measured(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        """Values by name, of a network that may be put in eval mode; none if a stop was asked for meanwhile."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Measure, if it is time."""
        if trainer.global_step == self._step or not is_due(trainer, self.every_steps):
            return
        self._step = trainer.global_step
        with _as_it_is_kept(trainer, pl_module):
            self.latest = self.measured(trainer, pl_module)
        if self.latest:
            _tell(trainer, self.latest)

    def state_dict(self) -> dict[str, Any]:
        """The latest values, for the record of a training that goes on from its last step."""
        return {"latest": self.latest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them over."""
        self.latest = state_dict["latest"]


@contextmanager
def _as_it_is_kept(trainer: pl.Trainer, pl_module: pl.LightningModule) -> Iterator[None]:
    """The module with averaged weights, where there are any; afterwards in the training mode that it had."""
    averaging = [callback for callback in trainer.callbacks if isinstance(callback, WeightAveraging)]
    was_training = {module: module.training for module in pl_module.modules()}
    for callback in averaging:
        callback.on_validation_epoch_start(trainer, pl_module)
    try:
        yield
    finally:
        for callback in averaging:
            callback.on_validation_epoch_end(trainer, pl_module)
        for module, mode in was_training.items():
            module.training = mode


def _tell(trainer: pl.Trainer, values: Mapping[str, float]) -> None:
    step = trainer.global_step
    for logger in trainer.loggers:
        logger.log_metrics({f"val/{name}": value for name, value in values.items()}, step)
    if trainer.progress_bar_callback is not None:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        trainer.progress_bar_callback.print(f"step {step}: {shown} on validation videos")


def evenly_picked(videos: Sequence[Video], count: int | None) -> list[Video]:
    """At most `count` of the videos, spread over the list; the same ones every time."""
    if count is None or count >= len(videos):
        return list(videos)
    return [videos[index * len(videos) // count] for index in range(count)]
