"""One training run: a trainer that knows the machine, and a fit that a Ctrl-C ends in order."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from memvos.data.datamodules import ClipDataModule
from memvos.decode.precision import choose_precision
from memvos.errors import InputError, first_line
from memvos.lit.checkpoints import Interrupted, listening
from memvos.model.state_files import DAMAGE

NOISE = (".*dataloader is not resumable", ".*does not have many workers", ".*LeafSpec", ".*in eval mode at the start")
"""Warnings of Lightning that do not hold here: datamodules resume by themselves, clips are small, statistics frozen."""

LIGHTNING_NAMES = {torch.bfloat16: "bf16-mixed", torch.float32: "32-true"}


def device_count(accelerator: str) -> int:
    """How many devices a trainer with devices=auto takes: all GPUs where it takes any, else one."""
    return torch.cuda.device_count() if _takes_gpus(accelerator) else 1


def make_trainer(precision: str = "auto", accelerator: str = "auto", **options: Any) -> pl.Trainer:
    """A Lightning trainer, without Lightning's own words about devices and modes.

    Args:
        precision: any of Lightning's names, or "auto": bf16-mixed where the hardware is fast at it, else 32-true.
        accelerator: Lightning's name; "auto" takes a GPU if there is one.
        options: everything else, as `pl.Trainer` has it.

    Raises:
        InputError: if this machine has no such device, or the options do not go together.
    """
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    if precision == "auto":
        device = torch.device("cuda" if _takes_gpus(accelerator) else "cpu")
        precision = LIGHTNING_NAMES[choose_precision("auto", device)]
    try:
        return pl.Trainer(precision=precision, accelerator=accelerator, **options)
    except MisconfigurationException as error:
        raise InputError(f"trainer: {first_line(error)}; choose another trainer= (auto, cpu, gpu, ddp)") from error


def _takes_gpus(accelerator: str) -> bool:
    return accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())


def _check_resumable(path: Path) -> None:
    """Refuse a checkpoint that no training can go on from."""
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path} to resume from; leave resume out to start anew")
    try:
        whole = "optimizer_states" in torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except DAMAGE:
        whole = False
    if not whole:
        raise InputError(
            f"{path} is damaged, or no checkpoint that a training can go on from; delete it, or give resume=false, "
            "to start anew"
        )


def fit(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    datamodule: ClipDataModule,
    resume: str | Path | None = None,
) -> None:
    """Train to the trainer's `max_steps`, from the start or from a `last.ckpt`.

    The whole training is one epoch of the loader, whose size is set here (its samples are numbered without end): so
    neither gradient accumulation nor a resumed training ever meets the end of an epoch.

    Args:
        trainer: knows the number of devices and steps, and how many batches are accumulated for a step.
        module: what is trained.
        datamodule: gives the clips.
        resume: checkpoint to go on from.

    Raises:
        InputError: if the trainer has no `max_steps`.
        FileNotFoundError: if `resume` does not exist.
        KeyboardInterrupt: after a Ctrl-C, with a message that says what is written.
    """
    if trainer.max_steps < 1 or int(trainer.max_steps) != trainer.max_steps:
        raise InputError(
            f"expected trainer.max_steps as a whole number from 1, got {trainer.max_steps}; name the number of steps"
        )
    if resume is not None:
        _check_resumable(Path(resume))
    step = datamodule.batch_size * trainer.world_size * trainer.accumulate_grad_batches
    datamodule.epoch_size = step * trainer.max_steps
    try:
        with listening(trainer), warnings.catch_warnings():
            for beside_the_point in NOISE:
                warnings.filterwarnings("ignore", beside_the_point)
            trainer.fit(module, datamodule=datamodule, ckpt_path=resume, weights_only=True)
    except Interrupted as stop:
        raise KeyboardInterrupt(str(stop)) from None
    except SystemExit:  # Lightning's way to end at a KeyboardInterrupt, here the second Ctrl-C
        raise KeyboardInterrupt("Stopped at once; last.ckpt is as it was.") from None
