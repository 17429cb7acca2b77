"""Training of QDMN and of every network with a memory and, perhaps, a quality head. QDMN §4.1, losses of §3.2."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from memvos.data.clip import ClipBatch
from memvos.lit.base import by_steps, plain, seeded_by_step
from memvos.lit.mask_jitter import MaskJitter
from memvos.lit.unroll import SegmentedFrame, unroll
from memvos.losses import BootstrappedCrossEntropy, NoAuxiliaryLoss, QualityLoss
from memvos.model.interface import VOSModel

QualityGradient = Literal["released", "encoder", "detached"]
NO_AUXILIARY_LOSS = NoAuxiliaryLoss()
RECENT_SCORES = 200
"""Number of latest batches whose scores enter the logged correlation with true IoU."""


class QDMNModule(pl.LightningModule):
    """Train a `VOSModel` on clips: cross-entropy of every frame plus the squared error of its quality scores.

    The score of frame 0, whose masks are given, is not supervised. A model whose `quality` part has no parameters (no
    QAM) is trained on the segmentation alone, and its last frame is not memorised.
    """

    def __init__(
        self,
        model: VOSModel,
        segmentation_loss: BootstrappedCrossEntropy,
        quality_loss: QualityLoss,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        quality_weight: float = 1.0,
        quality_gradient: QualityGradient = "released",
        quality_jitter: float = 0.0,
        learning_rate_factors: Mapping[str, float] | None = None,
        quality_start: int = 0,
        auxiliary_loss: torch.nn.Module = NO_AUXILIARY_LOSS,
        teacher_forcing: float = 0.0,
    ) -> None:
        """Take the parts.

        Args:
            model: the network.
            segmentation_loss: of the aggregated logits of a frame.
            quality_loss: of the scores of a frame.
            optimizer: makes the optimiser from the parameters.
            scheduler: makes the learning-rate schedule from the optimiser; it advances by optimiser steps.
            quality_weight: factor of the quality loss (released: 1).
            quality_gradient: "released" lets the quality loss train the memory encoder and, through the soft mask, the
                segmenter as well, as the released code does, by which a head that has not learned anything yet bends a
                short training; "encoder" lets it train what `memorize` adds to the query's features (the memory
                encoder), in a pass of its own; "detached" trains the head alone, on features that need not tell how
                sure a mask is.
            quality_jitter: ratio of the masks that are jittered (`MaskJitter`) and scored once more, in a pass beside
                that of the masks as predicted that "encoder" makes; the two losses are averaged. 0: no such pass.
            learning_rate_factors: {part of a parameter's name: factor of its learning rate}. A read whose keys learn as
                fast as the rest saturates within a hundred steps of a short training (logit deviations above 100).
            quality_start: optimiser step from which the quality loss counts. A network that starts from scratch
                predicts empty masks at first, whose IoU of 0 drives a sigmoid head into saturation.
            auxiliary_loss: of what a network finds on its way to the masks (DMN-AOA: coarse masks and matches).
            teacher_forcing: probability in the first step that later frames are shown a frame's true masks in place of
                the prediction; it falls linearly to 0 at the last step. A network that starts from scratch looks for
                objects where it believes that they were, which is anywhere.

        Raises:
            ValueError: if `quality_gradient` is unknown, `quality_weight` or `quality_start` is negative,
                `quality_jitter` is no ratio or does not go with `quality_gradient`, or `teacher_forcing` is no ratio.
        """
        super().__init__()
        if quality_gradient not in get_args(QualityGradient):
            known = ", ".join(map(repr, get_args(QualityGradient)))
            raise ValueError(f"expected quality_gradient to be one of {known}, got {quality_gradient!r}")
        if quality_weight < 0 or quality_start < 0:
            raise ValueError(
                f"expected quality_weight and quality_start of at least 0, got {quality_weight} and {quality_start}"
            )
        if quality_jitter and quality_gradient != "encoder":
            raise ValueError(
                f"expected quality_gradient='encoder' with quality_jitter={quality_jitter}, got {quality_gradient!r}; "
                "jittered masks are scored in a pass of their own"
            )
        if not 0 <= teacher_forcing <= 1:
            raise ValueError(f"expected teacher_forcing, a probability, in [0, 1], got {teacher_forcing}")
        self.model = model
        self.segmentation_loss, self.quality_loss = segmentation_loss, quality_loss
        self.auxiliary_loss = auxiliary_loss
        self.optimizer, self.scheduler = optimizer, scheduler
        self.quality_weight, self.quality_start = quality_weight, quality_start
        self.teacher_forcing = teacher_forcing
        self._jitter = MaskJitter(quality_jitter)
        self._score_apart = quality_gradient == "encoder" and self.trains_quality
        if quality_gradient == "detached":
            model.quality.register_forward_pre_hook(_detach_inputs)
        self.learning_rate_factors = dict(learning_rate_factors or {})
        self._recent: deque[tuple[Tensor, Tensor]] = deque(maxlen=RECENT_SCORES)

    @property
    def trains_quality(self) -> bool:
        """Does the model have a quality head to train?"""
        return any(parameter.requires_grad for parameter in self.model.quality.parameters())

    def remember(self, **facts: Any) -> None:
        """Write plain facts into every checkpoint's `hyper_parameters`, for example `model`, the model's configuration.

        Raises:
            TypeError: if a fact is not plain (dict, list, str, number, bool or None).
        """
        self.hparams.update(plain(facts))

    def configure_optimizers(self) -> dict[str, Any]:
        """The optimiser over all parameters, and its schedule by steps.

        Raises:
            ValueError: if a learning-rate factor's name fits no part of the network.
        """
        return by_steps(self, self.optimizer, self.scheduler, self.learning_rate_factors)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> dict[str, Tensor]:
        """Return the loss of a clip batch, summed over frames, and what callbacks watch.

        `score` is the mean predicted score, there only while the loss of a quality head counts.
        """
        with seeded_by_step(self, batch_idx) as seed:
            return self._step(batch, batch_idx, seed)

    def _step(self, batch: ClipBatch, batch_idx: int, seed: int) -> dict[str, Tensor]:
        score_last = self.trains_quality and not self._score_apart
        forced = self._forced(batch, [seed, self.global_step, batch_idx, self.global_rank])
        frames = unroll(self.model, batch, score_last, forced)
        labels = batch.labels
        segmentation = sum(
            self.segmentation_loss(frame.logits, labels[:, frame.time], self.global_step) for frame in frames
        )
        truth = torch.stack([batch.masks[:, frame.time] for frame in frames])
        reached = self.quality_loss.target(torch.stack([frame.probabilities for frame in frames]), truth)
        shown = {"segmentation": segmentation.detach(), "iou": _mean(reached, batch.valid)}
        auxiliary = self._auxiliary(frames, batch)
        shown |= {name: value.detach() for name, value in auxiliary.items()}
        base = segmentation + sum(auxiliary.values())
        output = {"loss": base}
        if self.trains_quality:
            if self._score_apart:
                masks = [frame.probabilities.detach() for frame in frames]
                scored = [self._scored_apart(frames, masks, truth)]
                if self._jitter.share:
                    jittered = self._jittered(masks, [seed, batch_idx, self.global_rank])
                    scored.append(self._scored_apart(frames, jittered, truth))
            else:
                target = reached
                if forced is not None:  # what was scored is what was shown
                    target = self.quality_loss.target(torch.stack([frame.shown for frame in frames]), truth)
                scored = [(torch.stack([frame.quality for frame in frames]), target)]
            quality = sum(self._quality_loss_of(*pair, batch.valid) for pair in scored) / len(scored)
            scores, target = scored[0]  # of the masks as predicted
            weight = self.quality_weight if self.global_step >= self.quality_start else 0.0
            score = _mean(scores.detach(), batch.valid)
            output = {"loss": base + weight * quality, **({"score": score} if weight else {})}
            shown |= {"quality": quality.detach(), "score": score}
            self._recent.append((torch.stack([scores.detach(), target]), batch.valid))
        self._show({"loss": output["loss"].detach(), **shown}, batch_idx)
        return output

    def _forced(self, batch: ClipBatch, seed: list[int]) -> Tensor | None:
        """Frames (T, B) of which later ones are shown the true masks; None where none are."""
        if not self.teacher_forcing:
            return None
        chance = self.teacher_forcing * (1 - self.global_step / self.trainer.max_steps)
        drawn = np.random.default_rng(seed).random((batch.frames.shape[1], len(batch.frames))) < chance
        return torch.as_tensor(drawn, device=batch.frames.device)

    def _scored_apart(self, frames: list[SegmentedFrame], masks: list[Tensor], truth: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of masks for the frames, whose gradient does not reach the segmenter, and the masks' true IoU."""
        pairs = zip(frames, masks, strict=True)
        scores = [self.model.memorize(frame.query.without_gradient(), mask).quality for frame, mask in pairs]
        return torch.stack(scores).float(), self.quality_loss.target(torch.stack(masks), truth)

    def _jittered(self, masks: list[Tensor], seed: list[int]) -> list[Tensor]:
        random = np.random.default_rng(seed)
        return [self._jitter(mask, random) for mask in masks]

    def _quality_loss_of(self, scores: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Summed over frames."""
        return sum(self.quality_loss(*pair, valid) for pair in zip(scores, target, strict=True))

    def _auxiliary(self, frames: list[SegmentedFrame], batch: ClipBatch) -> dict[str, Tensor]:
        """Weighted auxiliary losses by name, summed over frames."""
        parts = [self.auxiliary_loss(frame.found, batch.masks[:, frame.time], batch.valid) for frame in frames]
        return {name: sum(part[name] for part in parts) for name in parts[0]}

    def _show(self, values: dict[str, Tensor], batch_idx: int) -> None:
        self.log_dict({f"train/{name}": value for name, value in values.items()}, batch_size=1)
        every = self.trainer.log_every_n_steps  # 0: never
        if every and (self.global_step + 1) % every == 0 and self._recent:  # the steps whose values are written
            pairs = torch.cat([values[:, :, valid].flatten(1) for values, valid in self._recent], dim=1)
            self.log("train/score_iou_correlation", correlation(pairs), batch_size=1)


def correlation(pairs: Tensor) -> Tensor:
    """Pearson correlation of the rows of (2, K); 0 where a row is constant."""
    centred = pairs.double() - pairs.double().mean(dim=1, keepdim=True)
    norm = centred.norm(dim=1).prod()
    return (centred[0] @ centred[1] / norm.clamp(min=1e-12)).float()


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of (frames, B, N) over frames and existing objects."""
    return (values * valid).sum() / (valid.sum() * len(values)).clamp(min=1)


def _detach_inputs(module: torch.nn.Module, inputs: tuple) -> tuple:
    return tuple(value.detach() if isinstance(value, Tensor) else value for value in inputs)
