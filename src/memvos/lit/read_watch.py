"""Listens to a model's memory read while it works. QDMN §3.4, Eq. 6."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from memvos.lit.watch import Watch
from memvos.model.interface import VOSModel


class ReadWatch(Watch):
    """Takes statistics of a model's memory read while `listening`, as a context; does nothing without a `read` part.

    `pause()` is held meanwhile, to stop a clock.
    """

    def __init__(self, model: VOSModel, pause: Callable[[], AbstractContextManager] = nullcontext) -> None:
        super().__init__(model, "read")
        self._pause = pause
        self._seen: list[float] = []
        self.listening = False

    @property
    def mean(self) -> float | None:
        """Mean deviation of the similarities over memory positions; None if nothing was seen."""
        return sum(self._seen) / len(self._seen) if self._seen else None

    def _note(self, read: Any, inputs: tuple, output: Any) -> None:
        if not self.listening:
            return
        with self._pause():
            self._seen.append(read.statistics(*inputs)["logit_std"])
