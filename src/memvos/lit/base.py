"""What every training module shares: plain facts in checkpoints, random numbers, parameter groups, a schedule."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from memvos.errors import InputError, check_number


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they may stand in a checkpoint.

    Raises:
        TypeError: if a fact is not plain (dict, list, str, number, bool or None).
    """
    return {name: _plain(name, fact) for name, fact in facts.items()}


def _plain(name: str, fact: Any) -> Any:
    try:
        return json.loads(json.dumps(fact))
    except TypeError as error:
        raise TypeError(
            f"checkpoints hold plain values only, got {type(fact).__name__} for {name!r}; "
            "convert a configuration with OmegaConf.to_container(..., resolve=True)"
        ) from error


@contextmanager
def seeded_by_step(module: pl.LightningModule, batch_idx: int) -> Iterator[int]:
    """What PyTorch draws in the block depends on the seed of the training, the step, the batch and the rank alone.

    A training that goes on from a checkpoint then draws what it would have drawn, and ranks draw apart.

    Yields:
        The seed of the training, below 2³².
    """
    seed = torch.initial_seed() % 2**32
    of_step = np.random.SeedSequence([seed, module.global_step, batch_idx, module.global_rank])
    with torch.random.fork_rng([module.device] if module.device.type == "cuda" else []):
        torch.manual_seed(int(of_step.generate_state(1)[0]))
        yield seed


def by_steps(
    module: pl.LightningModule,
    optimizer: Callable[..., Optimizer],
    scheduler: Callable[[Optimizer], LRScheduler],
    factors: Mapping[str, float],
) -> dict[str, Any]:
    """What `configure_optimizers` returns: the optimiser over all parameters, and its schedule by steps.

    Args:
        module: holds the parameters.
        optimizer: makes the optimiser; with factors a partial that holds `lr`.
        scheduler: makes the schedule.
        factors: {part of a parameter's name: factor of its learning rate}; several that fit are multiplied.

    Raises:
        InputError: if a factor's name fits no part of the network, or the optimiser refuses its settings.
    """
    groups = _groups(module, optimizer, factors)
    try:
        made = optimizer(groups)
    except (ValueError, TypeError) as error:
        raise InputError(f"optimizer: {error}; correct learning_rate, or the settings of optimizer") from error
    return {"optimizer": made, "lr_scheduler": {"scheduler": scheduler(made), "interval": "step"}}


def _groups(
    module: pl.LightningModule, optimizer: Callable[..., Optimizer], factors: Mapping[str, float]
) -> list[dict[str, Any]]:
    """One group per learning-rate factor."""
    names = [name for name, _ in (*module.named_modules(), *module.named_parameters())]  # absent parts are modules too
    if idle := [part for part in factors if not any(part in name for name in names)]:
        raise InputError(f"no part of the network is named like {', '.join(idle)}; correct lit.learning_rate_factors")
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        fitting = [factor for part, factor in factors.items() if part in name]
        groups.setdefault(math.prod(fitting), []).append(parameter)
    base = optimizer.keywords["lr"] if factors else None
    if base is not None:
        check_number("learning_rate", base, 0, whole=False)
    return [{"params": group, **({} if base is None else {"lr": base * factor})} for factor, group in groups.items()]
