"""What happens around the training steps: memory layout, what is watched, the progress bar."""

from __future__ import annotations

import sys
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ProgressBar
from tqdm import tqdm

from memvos.data.clip import ClipBatch
from memvos.errors import RunFailed, check_number
from memvos.lit.read_watch import ReadWatch


def is_due(trainer: pl.Trainer, every_steps: int) -> bool:
    """Is it one of every so many steps, or the last?"""
    return trainer.global_step % every_steps == 0 or trainer.global_step == trainer.max_steps


class QualityCollapse(RunFailed):
    """The quality head puts out nothing but (almost) zero, and would not recover."""


class Divergence(RunFailed):
    """The loss is no finite number any more, and would not become one again."""


class ChannelsLast(Callback):
    """Keep weights in channels_last order, in which bf16 convolutions are several times as fast; activations follow."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Convert the weights."""
        pl_module.to(memory_format=torch.channels_last)


class CollapseDetector(Callback):
    """Stop a training whose quality head has died.

    With the published layers and initialisation the head often saturates at 0 and stays there (users of the released
    code report it, too); every gate then rejects every frame. Nothing is watched while no head is trained.
    """

    def __init__(self, floor: float = 0.05, patience: int = 500, check_every: int = 25) -> None:
        """Stop when the mean predicted score of `patience` optimiser steps on end was below `floor`; look at every
        `check_every`-th.
        """
        check_number("patience", patience, 1)
        check_number("check_every", check_every, 1)
        self.floor, self.patience, self.check_every = floor, patience, check_every
        self._below: torch.Tensor | int = 0  # stays on the device between looks
        self._step = 0  # that the batch in work belongs to
        self._scores: list[torch.Tensor] = []  # of its batches

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Note the step that the batch is for."""
        self._step = trainer.global_step

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Count steps below the floor; where gradients are accumulated, a step's score is the mean over its batches.

        Raises:
            QualityCollapse: when the patience is over.
        """
        if "score" in outputs:
            self._scores.append(outputs["score"])
        if trainer.global_step == self._step or not self._scores:
            return
        score, self._scores = torch.stack(self._scores).mean(), []
        self._below = torch.where(score < self.floor, self._below + 1, 0)
        if is_due(trainer, self.check_every) and int(self._below) >= self.patience:
            raise QualityCollapse(
                f"the mean predicted quality score was below {self.floor} for the last {int(self._below)} steps: the "
                "quality head has collapsed; expected scores near the mask IoU. Train again with a normalised head "
                "(model.quality.norm=group), with sigmoid activations (model.quality.activations=[relu,sigmoid]) or "
                "with quality_gradient=encoder"
            )

    def state_dict(self) -> dict[str, int]:
        """The count, so that a resumed training goes on counting."""
        return {"below": int(self._below)}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take over the count."""
        self._below = state_dict["below"]


class DivergenceDetector(Callback):
    """Stop a training whose loss has become infinite or NaN; what it would leave is of no use."""

    def __init__(self, check_every: int = 25) -> None:
        """Look at the loss of every n-th batch, accumulated or not: a look waits for the device, and NaN stays."""
        check_number("check_every", check_every, 1)
        self.check_every = check_every

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Look, if it is time, and after the last step.

        Raises:
            Divergence: if the loss is not finite.
        """
        last = trainer.global_step == trainer.max_steps
        if ((batch_idx + 1) % self.check_every == 0 or last) and not torch.isfinite(outputs["loss"]):
            raise Divergence(
                f"the loss is {float(outputs['loss'])} at step {trainer.global_step}: the training has diverged. Train "
                "again from the start with a smaller learning_rate or with trainer.gradient_clip_val=1.0"
            )


class ReadMonitor(Callback):
    """Log now and then how far the logits of the memory read spread; near 0, every memory position is read alike."""

    def __init__(self, every_steps: int = 100) -> None:
        check_number("every_steps", every_steps, 1)
        self.every_steps = every_steps
        self._watch: ReadWatch | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Listen to every n-th step."""
        if trainer.global_step % self.every_steps == 0:
            self._watch = ReadWatch(pl_module.model).__enter__()
            self._watch.listening = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Log what was heard."""
        if self._watch is None:
            return
        self._watch.__exit__()
        if self._watch.mean is not None:
            for logger in trainer.loggers:
                logger.log_metrics({"train/logit_std": self._watch.mean}, trainer.global_step)
        self._watch = None


class Progress(ProgressBar):
    """One bar over all steps of the stage, with loss and remaining time; rare lines where there is no terminal."""

    def __init__(self, seconds: float | None = None) -> None:
        """`seconds` between updates; by default 0.5 on a terminal, 30 in a log file."""
        super().__init__()
        self.seconds = seconds
        self._bar: tqdm | None = None
        self._enabled = True

    def disable(self) -> None:
        """Show nothing (Lightning calls this on all ranks but the first)."""
        self._enabled = False

    def enable(self) -> None:
        """Show the bar."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar at the step the training goes on from."""
        terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=trainer.max_steps if trainer.max_steps > 0 else None,
            initial=trainer.global_step,
            unit="step",
            desc="training",
            mininterval=self.seconds or (0.5 if terminal else 30),
            dynamic_ncols=terminal,
            disable=not self._enabled,
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Move on to the current step; the loss is read from the device only when the bar is redrawn."""
        if self._bar.update(trainer.global_step - self._bar.n):
            loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # Lightning gives a batch's share of it
            self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print a line above the bar."""
        if self._enabled:
            tqdm.write(" ".join(map(str, args)), file=sys.stderr)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self._bar.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
