"""Training of the class-agnostic proposal detector on the suite's own clips. DMN-AOA §4.1 (tuning of the generator)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from memvos.data.clip import ClipBatch, normalise
from memvos.errors import check_number
from memvos.lit.base import by_steps, plain, seeded_by_step
from memvos.lit.checkpoints import asked_to_stop
from memvos.lit.measuring import Measuring, evenly_picked
from memvos.model.detector import Detector, targets_of
from memvos.model.interface import NOWHERE
from memvos.model.proposal_sources import detect, in_unit_range
from memvos.model.proposals import recall


class ProposalModule(pl.LightningModule):
    """Train a detector on every frame of every clip; each object is an instance of the one class."""

    def __init__(
        self,
        model: Detector,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        learning_rate_factors: Mapping[str, float] | None = None,
    ) -> None:
        """Take the parts; the optimiser and the schedule are factories, as for every training here."""
        super().__init__()
        self.model = model
        self.optimizer, self.scheduler = optimizer, scheduler
        self.learning_rate_factors = dict(learning_rate_factors or {})

    def remember(self, **facts: Any) -> None:
        """Write plain facts into every checkpoint's `hyper_parameters`.

        Raises:
            TypeError: if a fact is not plain (dict, list, str, number, bool or None).
        """
        self.hparams.update(plain(facts))

    def configure_optimizers(self) -> dict[str, Any]:
        """The optimiser over all parameters, and its schedule by steps."""
        return by_steps(self, self.optimizer, self.scheduler, self.learning_rate_factors)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> dict[str, torch.Tensor]:
        """The sum of torchvision's losses over all frames of a clip batch."""
        images = list(in_unit_range(batch.frames.flatten(0, 1)))
        targets = [targets_of(masks) for masks in batch.masks.flatten(0, 1)]
        with torch.autocast(self.device.type, enabled=False), seeded_by_step(self, batch_idx):
            losses = self.model(images, targets)
        loss = sum(losses.values())
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()}, batch_size=1)
        self.log("train/loss", loss.detach(), batch_size=1)
        return {"loss": loss}


class ProposalRecall(Measuring):
    """Every so many steps, and after the last, the share of true objects in validation videos that a proposal covers.

    It bounds every model that chooses among these proposals. After a Ctrl-C no further video is begun, and nothing is
    logged.
    """

    def __init__(self, every_steps: int = 1000, videos: int | None = 8, every_frames: int = 4) -> None:
        """How often, on how many videos (None: all), and on every how many of their frames."""
        super().__init__(every_steps, videos)
        check_number("every_frames", every_frames, 1)
        self.every_frames = every_frames

    def measured(self, trainer: pl.Trainer, pl_module: ProposalModule) -> dict[str, float]:
        """Recall at mask IoU .5 and .7, ratios; empty where no frame has an object."""
        detector, device = pl_module.model.eval(), pl_module.device
        covered, objects = {0.5: 0, 0.7: 0}, 0
        for video in evenly_picked(trainer.datamodule.val_videos, self.videos):
            if asked_to_stop(trainer):
                return {}
            for time in video.annotated[:: self.every_frames]:
                labels = torch.as_tensor(video.labels(time), device=device)
                image = normalise(torch.as_tensor(video.image(time), device=device)).unsqueeze(0)
                ids = [key for key in video.object_ids if (labels == key).any()]
                if not ids:
                    continue
                masks = torch.stack([labels == key for key in ids]).float().unsqueeze(0)
                found, count = recall(detect(detector, image, NOWHERE), masks, tuple(covered))
                covered = {iou: covered[iou] + found[iou] for iou in covered}
                objects += count
        return {f"recall@{iou}": number / objects for iou, number in covered.items()} if objects else {}
