"""Room for the frames of the memory bank: preallocated, growing in chunks, read without copying."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from memvos.model.interface import Memory, MemoryFrame


class FrameStore:
    """Slots for keys, values and validity, each slot one frame.

    key (B, N or 1, Ck, capacity, h, w), value (B, N, Cv, capacity, h, w), valid (B, N, capacity): a read of the first M
    slots is a view, and flattening its (M, h, w) stays one.
    """

    def __init__(self, chunk: int = 8) -> None:
        self.chunk = chunk
        self.key: Tensor | None = None
        self.value: Tensor | None = None
        self.valid: Tensor | None = None
        self._described: list[int] = []  # per slot, the number of objects its record describes; kept off the device
        self._held: list[tuple[Tensor, Tensor]] | None = None  # parts of overwritten slots, each with what it held

    @property
    def capacity(self) -> int:
        """Number of allocated slots."""
        return 0 if self.valid is None else self.valid.shape[2]

    @property
    def objects(self) -> int:
        """Number of objects N the slots have room for."""
        return 0 if self.valid is None else self.valid.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the allocated keys and values."""
        return sum(part.nbytes for part in (self.key, self.value) if part is not None)

    def write(self, slot: int, frame: MemoryFrame, bound: int | None = None, last_seen: bool = False) -> None:
        """Put a record's tensors into a slot; room is made for more slots (at most `bound`) and for more objects.

        Args:
            slot: its number.
            frame: the record.
            bound: the most slots that will be needed.
            last_seen: an object with keys of its own that the record does not describe keeps what the slot held of it.

        Raises:
            ValueError: if the frame's sizes do not fit the frames stored before.
        """
        self.check(frame)
        self._make_room(slot, frame, bound)
        if last_seen:
            frame = self._with_last_seen(slot, frame)
        self._hold(slot)
        objects = frame.value.shape[1]
        self.key[:, :, :, slot] = frame.key
        self.value[:, :objects, :, slot] = frame.value
        self.valid[:, :objects, slot] = True if frame.valid is None else frame.valid
        self.valid[:, objects:, slot] = False
        self._note(slot, objects if frame.valid is None else int(frame.valid.sum()) // frame.valid.shape[0])

    @contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        """What is written in here stays only if nothing in here fails."""
        before, self._held = (self.key, self.value, self.valid, list(self._described)), []
        try:
            yield
        except BaseException:
            self.key, self.value, self.valid, self._described = before
            for part, held in reversed(self._held):
                part.copy_(held)
            raise
        finally:
            self._held = None

    def check(self, frame: MemoryFrame) -> None:
        """Look whether a record fits those stored before.

        Raises:
            ValueError: if its sizes differ, or it has fewer objects.
        """
        if self.key is None:
            return
        for name in ("key", "value"):
            stored, new = getattr(self, name), getattr(frame, name)
            if stored.shape[:1] + stored.shape[2:3] + stored.shape[4:] != new.shape[:1] + new.shape[2:]:
                raise ValueError(
                    f"the {name} of a new frame, {tuple(new.shape)}, does not fit the stored ones, "
                    f"(B, N, C, M, h, w) = {tuple(stored.shape)}; start a new bank for a video of another size"
                )
        if frame.value.shape[1] < self.objects:
            raise ValueError(
                f"expected a frame with at least {self.objects} objects, got {frame.value.shape[1]}; "
                "objects are only added, an object that is gone keeps its place"
            )

    def read(self, count: int) -> Memory:
        """The first `count` slots, as views; valid is None when every object may read every frame."""
        whole = all(described == self.objects for described in self._described[:count])
        valid = None if whole else self.valid[:, :, :count]
        return Memory(self.key[:, :, :, :count], self.value[:, :, :, :count], valid)

    def state_dict(self, count: int) -> dict[str, Tensor]:
        """Copies of the first `count` slots."""
        parts = {"key": self.key[:, :, :, :count], "value": self.value[:, :, :, :count]}
        parts["valid"] = self.valid[:, :, :count]
        return {name: part.clone() for name, part in parts.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the tensors of `state_dict`."""
        self.key, self.value, self.valid = (state[name].clone() for name in ("key", "value", "valid"))
        self._described = self.valid[0].sum(dim=0).tolist()

    def _with_last_seen(self, slot: int, frame: MemoryFrame) -> MemoryFrame:
        objects = frame.value.shape[1]
        if frame.valid is None or frame.key.shape[1] != objects:
            return frame
        kept = self.valid[:, :objects, slot] & ~frame.valid
        of_object = kept[:, :, None, None, None]
        key = torch.where(of_object, self.key[:, :, :, slot], frame.key)
        value = torch.where(of_object, self.value[:, :objects, :, slot], frame.value)
        return replace(frame, key=key, value=value, valid=frame.valid | kept)

    def _hold(self, slot: int) -> None:
        if self._held is not None and slot < len(self._described):
            parts = self.key[:, :, :, slot], self.value[:, :, :, slot], self.valid[:, :, slot]
            self._held += [(part, part.clone()) for part in parts]

    def _note(self, slot: int, described: int) -> None:
        self._described[slot:] = [described, *self._described[slot + 1 :]]

    def _make_room(self, slot: int, frame: MemoryFrame, bound: int | None) -> None:
        if self.key is None:
            empty = (frame.key[:, :, :, None][:, :, :, :0], frame.value[:, :, :, None][:, :, :, :0])
            self.key, self.value = (part.contiguous() for part in empty)
            self.valid = torch.zeros(*frame.value.shape[:2], 0, dtype=torch.bool, device=frame.value.device)
        objects = max(self.objects, frame.value.shape[1])
        capacity = self.capacity
        if slot >= capacity:
            capacity += max(self.chunk, capacity // 2)
            capacity = max(slot + 1, capacity if bound is None else min(capacity, bound))
        if (objects, capacity) != (self.objects, self.capacity):
            shared = self.key.shape[1] == 1 and frame.key.shape[1] == 1
            sizes = 1 if shared else objects, objects, objects
            parts = zip((self.key, self.value, self.valid), sizes, strict=True)
            self.key, self.value, self.valid = [_enlarge(part, size, capacity) for part, size in parts]


def _enlarge(stored: Tensor, objects: int, capacity: int) -> Tensor:
    """Copy (B, N, [C,] M, ...) into zeros with room for more objects and frames."""
    axis = 2 if stored.ndim == 3 else 3
    shape = list(stored.shape)
    shape[1], shape[axis] = objects, capacity
    room = stored.new_zeros(shape)
    room[:, : stored.shape[1]].narrow(axis, 0, stored.shape[axis]).copy_(stored)
    return room
