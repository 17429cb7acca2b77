"""Listens to a model's memory read while it works. QDMN §3.4, Eq. 6."""

from __future__ import annotations

from typing import Any

from memvos.lit.watch import Watch
from memvos.model.interface import VOSModel


class ReadWatch(Watch):
    """Takes statistics of a model's memory read while `listening`, as a context; does nothing without a `read` part."""

    def __init__(self, model: VOSModel) -> None:
        super().__init__(model, "read")
        self._seen: list[float] = []
        self.listening = False

    @property
    def mean(self) -> float | None:
        """Mean deviation of the similarities over memory positions; None if nothing was seen."""
        return sum(self._seen) / len(self._seen) if self._seen else None

    def _note(self, read: Any, inputs: tuple, output: Any) -> None:
        if self.listening:
            self._seen.append(read.statistics(*inputs)["logit_std"])
