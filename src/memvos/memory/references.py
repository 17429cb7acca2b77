"""Reference frames that a model compares with, beside the memory: first and previous. DMN-AOA §3.1 (RefineNet)."""

from __future__ import annotations

from typing import Any

from memvos.model.interface import Reference


class References:
    """The frame with which each object was first given, and the latest frame, whatever the memory's rule keeps.

    Attributes:
        first: frames with which objects were first given, oldest first.
        first_of: for each object the index of its frame in `first`.
        previous: the latest frame; None until a record carries a reference.
    """

    def __init__(self) -> None:
        self.first: tuple[Reference, ...] = ()
        self.first_of: tuple[int, ...] = ()
        self.previous: Reference | None = None

    def annotate(self, reference: Reference | None) -> None:
        """A frame with given masks: it is the first of the objects that were not known before."""
        if reference is None:
            return
        new = reference.masks.shape[1] - len(self.first_of)
        if new > 0:
            self.first_of += (len(self.first),) * new
            self.first += (reference,)
        self.follow(reference)

    def follow(self, reference: Reference | None) -> None:
        """The frame is the previous one of the next."""
        self.previous = reference

    def of_memory(self) -> dict[str, Any]:
        """The fields of `Memory`."""
        return {"first": self.first, "first_of": self.first_of, "previous": self.previous}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        return {
            "first": [_plain(reference) for reference in self.first],
            "first_of": list(self.first_of),
            "previous": None if self.previous is None else _plain(self.previous),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state."""
        self.first = tuple(_reference(plain) for plain in state["first"])
        self.first_of = tuple(state["first_of"])
        self.previous = None if state["previous"] is None else _reference(state["previous"])


def _plain(reference: Reference) -> dict[str, Any]:
    return {"features": list(reference.features), "masks": reference.masks}


def _reference(plain: dict[str, Any]) -> Reference:
    return Reference(tuple(plain["features"]), plain["masks"])
