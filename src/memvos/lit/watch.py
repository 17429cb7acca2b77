"""Listening to a part of a model while it works."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from memvos.model.interface import VOSModel


class Watch(ABC):
    """Notes every call of the model's part of a name, as a context; does nothing for models without that part."""

    def __init__(self, model: VOSModel, part: str) -> None:
        self._part = getattr(model, part, None)

    def __enter__(self) -> Any:
        self._hook = None if self._part is None else self._part.register_forward_hook(self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self._hook is not None:
            self._hook.remove()

    @abstractmethod
    def _note(self, part: Any, inputs: tuple, output: Any) -> None:
        """Take what is wanted of one call."""
