"""What both training stages share: the loader, its order and where it goes on, the videos to validate on."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Sequence

import cv2
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from memvos.data.clip import ClipBatch
from memvos.data.sampler import ClipLoader, ClipSampler
from memvos.data.sampling import Source
from memvos.data.sequences import Video
from memvos.data.trees import Tree
from memvos.errors import check_number


class ClipDataModule(pl.LightningDataModule):
    """Training clips from a mixture of trees, in an order that depends on the seed only, and videos to validate on.

    The order is the same for any number of workers and ranks (see `ClipSampler`), and goes on where a checkpoint left
    it, in the middle of an epoch too. Training progress, which the max-skip curriculum follows, is the share of the
    trainer's planned batches; without a trainer that plans its end, it is what `set_progress` was told last.

    Attributes:
        sources: the mixture.
        dataset: clips by sample number.
        val_videos: sequences for validation during training.
        val_protocol: how those are scored, a name of `memvos.metrics.SCORED`.
        test_videos: sequences for evaluation.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        dataset: Dataset,
        batch_size: int,
        num_workers: int = 0,
        epoch_size: int | None = None,
        val: Tree | None = None,
        test: Tree | None = None,
    ) -> None:
        """Take the parts.

        Args:
            sources: the mixture, for checks and the fingerprint.
            dataset: its clips by sample number.
            batch_size: clips per batch and device.
            num_workers: loading processes; 0 loads in the training process.
            epoch_size: clips per epoch over all devices; None takes every item once.
            val: its videos become `val_videos`.
            test: its videos become `test_videos`.

        Raises:
            InputError: if a number is none of its kind.
        """
        check_number("batch_size", batch_size, 1)
        check_number("num_workers", num_workers, 0)
        check_number("epoch_size", epoch_size, 1, off=True)
        super().__init__()
        self.sources, self.dataset = list(sources), dataset
        self.batch_size, self.num_workers = batch_size, num_workers
        self.epoch_size = epoch_size or len(dataset)
        self.val_videos: list[Video] = [] if val is None else val.sequences()
        self.val_protocol = "davis" if val is None else val.protocol
        self.test_videos: list[Video] = [] if test is None else test.sequences()
        self._held_out = [tree for tree in (val, test) if tree is not None]
        self._told = 0.0

    @property
    def trees(self) -> list[Tree]:
        """Every tree that a training may read, for `memvos.data.check`."""
        return [*(source.tree for source in self.sources), *self._held_out]

    def fingerprint(self) -> str:
        """SHA-256 (16 hex digits) of the training trees and their shares."""
        parts = [f"{source.tree.fingerprint()} {source.repeat}" for source in self.sources]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def train_dataloader(self) -> DataLoader:
        """A loader of `ClipBatch`es for this rank."""
        rank, ranks = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        batches = max(1, self.epoch_size // (self.batch_size * ranks))
        planned = _planned_batches(self.trainer, batches)
        sampler = ClipSampler(
            self.dataset,
            batches,
            self.batch_size,
            (lambda done: self._told) if planned is None else (lambda done: min(1.0, done / planned)),
            None if self.trainer is None else self._batches_done,
            rank,
            ranks,
        )
        one_thread()  # here too: a forked worker must not inherit a pool of OpenCV threads, it may hang in it
        return ClipLoader(
            self.dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=ClipBatch.collate,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_start_worker,
        )

    def _batches_done(self) -> int:
        """Batches that the optimiser's steps so far have taken of this rank, as this trainer splits a step.

        Before a checkpoint was resumed from, the number of devices may have been another; the global batch is the same.
        """
        return self.trainer.global_step * self.trainer.accumulate_grad_batches

    def set_progress(self, fraction: float) -> None:
        """Tell the curriculum how much of the training is done, in [0, 1], where no trainer plans its end."""
        self._told = float(fraction)


def one_thread() -> None:
    """Let OpenCV use one thread in this process: clips are small, and loading processes are many."""
    cv2.setNumThreads(1)


def _start_worker(worker: int) -> None:
    """Prepare a loading process. A terminal's Ctrl-C reaches it too, but the training process still needs its clips:
    it finishes its step, and then ends its workers.
    """
    one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _planned_batches(trainer: pl.Trainer | None, per_epoch: int) -> int | None:
    """Batches of the whole training for each rank; None if the trainer has no end in steps or epochs."""
    if trainer is None:
        return None
    plans = []
    if trainer.max_steps > 0:
        plans.append(trainer.max_steps * trainer.accumulate_grad_batches)
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        plans.append(trainer.max_epochs * per_epoch)
    return min(plans, default=None)
