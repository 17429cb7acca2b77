"""When a training is written down: last.ckpt to go on from, final.ckpt to use. Ctrl-C loses nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint, WeightAveraging

from memvos.data.clip import ClipBatch
from memvos.errors import check_number
from memvos.stop_signals import StopRequest

LAST, FINAL = "last.ckpt", "final.ckpt"
AGREE_EVERY = 10
"""With several ranks, every how many steps they agree whether to save or stop; it costs a round of messages."""


class Interrupted(BaseException):
    """Ctrl-C (or SIGTERM) arrived, and everything is written down."""


class Checkpoints(Checkpoint):
    """Write `last.ckpt` every so often and when interrupted, `final.ckpt` (weights only) at the end.

    A training resumed from last.ckpt gives the same weights, bit by bit, as one that was never interrupted. In a
    training by `fit`, the first Ctrl-C (or SIGTERM) finishes the optimiser step, writes last.ckpt and stops, or ends
    the training if that was the last step; a second one stops at once.
    """

    def __init__(self, folder: str | Path, every_minutes: float = 10, every_steps: int | None = None) -> None:
        """Where, and how often, whichever comes first; `every_steps` None goes by the clock alone."""
        check_number("every_minutes", every_minutes, 0, whole=False)
        check_number("every_steps", every_steps, 1, off=True)
        self.folder = Path(folder)
        self.every_minutes, self.every_steps = every_minutes, every_steps
        self.stop = StopRequest("step")
        self._step = 0

    @property
    def last(self) -> Path:
        """Everything needed to go on."""
        return self.folder / LAST

    @property
    def final(self) -> Path:
        """The trained weights."""
        return self.folder / FINAL

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._written = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the step the training goes on from, which is restored only now."""
        self._step = trainer.global_step
        if self._step:
            _count_anew(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Write last.ckpt when it is due or a stop was asked for, between optimiser steps only.

        Raises:
            Interrupted: when a stop was asked for.
        """
        step = trainer.global_step
        if step == self._step:
            return
        self._step = step
        stop, by_clock = False, False
        if trainer.world_size == 1 or step % AGREE_EVERY == 0:
            stop = agreed(trainer, self.stop.arrived) and step < trainer.max_steps
            by_clock = agreed(trainer, time.monotonic() - self._written > 60 * self.every_minutes)
        by_steps = self.every_steps is not None and step % self.every_steps == 0
        if stop or by_steps or by_clock:
            trainer.save_checkpoint(self.last)
            self._written = time.monotonic()
        if stop:
            raise Interrupted(f"Step {step} of {trainer.max_steps} is written to {self.last}.")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write final.ckpt, of the averaged weights where they are kept.

        A training that goes on from its last step comes here without `on_train_end`, by which they replace the others.
        """
        for callback in trainer.callbacks:
            if isinstance(callback, WeightAveraging):
                callback.on_train_end(trainer, pl_module)
        trainer.save_checkpoint(self.final, weights_only=True)


@contextmanager
def listening(trainer: pl.Trainer) -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM are requests to the trainer's `Checkpoints`; after it they are as they were before.

    It goes around the whole training: after an error Lightning puts back the handlers it found when it began.
    """
    with ExitStack() as stack:
        for request in _stop_requests(trainer):
            stack.enter_context(request.listening())
        yield


def asked_to_stop(trainer: pl.Trainer) -> bool:
    """Has a Ctrl-C arrived, which `Checkpoints` will answer at the end of the step?"""
    return any(request.arrived for request in _stop_requests(trainer))


def agreed(trainer: pl.Trainer, decision: bool) -> bool:
    """The same answer on every rank, yes if one says so: all of them save, or none does."""
    return trainer.strategy.reduce_boolean_decision(decision, all=False) if trainer.world_size > 1 else decision


def _stop_requests(trainer: pl.Trainer) -> list[StopRequest]:
    return [callback.stop for callback in trainer.callbacks if isinstance(callback, Checkpoints)]


def _count_anew(trainer: pl.Trainer) -> None:
    """Count the batches done as this trainer splits a step: last.ckpt may be of another number of devices."""
    batches = trainer.global_step * trainer.accumulate_grad_batches
    progress = trainer.fit_loop.epoch_loop.batch_progress
    for count in (progress.total, progress.current):
        count.ready = count.started = count.processed = batches
        count.completed = batches - 1  # a checkpoint is written before its batch is completed
