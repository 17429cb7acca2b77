"""Learning-rate schedules that torch does not have ready: up, then down to zero."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(optimizer: Optimizer, total_steps: int, warmup_steps: int = 0) -> LambdaLR:
    """Every group's learning rate rises linearly over the warm-up, then falls to zero along a half cosine.

    Args:
        optimizer: whose groups keep their own rates as the peak.
        total_steps: of the optimiser in the whole training.
        warmup_steps: of the optimiser; at most a tenth of a training shorter than ten times that.

    Raises:
        ValueError: if there are no steps to schedule.
    """
    if total_steps < 1 or warmup_steps < 0:
        raise ValueError(f"expected total_steps ≥ 1 and warmup_steps ≥ 0, got {total_steps} and {warmup_steps}")
    rise = min(warmup_steps, total_steps // 10)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / (total_steps - rise))))

    return LambdaLR(optimizer, factor)
