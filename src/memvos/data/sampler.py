"""The order of training samples: it depends on the seed only, not on ranks or workers, and can be entered anywhere."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset, DistributedSampler


class ClipSampler(DistributedSampler):
    """Yield (sample number, training progress) of this rank's share of an epoch.

    Sample numbers count through the whole training. Batch b of the training takes `batch_size` × ranks successive
    numbers, rank r the r-th part of them: one rank with batches of 8 sees the same numbers as two ranks with 4.
    It is a `DistributedSampler` only so that Lightning leaves it in place.
    """

    def __init__(
        self,
        dataset: Dataset,
        batches: int,
        batch_size: int,
        progress: Callable[[int], float],
        done: Callable[[], int] | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Take the facts of the training.

        Args:
            dataset: what the numbers are for.
            batches: batches of an epoch for each rank.
            batch_size: samples per batch and rank.
            progress: training progress in [0, 1] as a function of the batches done.
            done: batches done so far, where the next epoch goes on; None takes whole epochs, as `set_epoch` says.
            rank: this rank.
            ranks: number of ranks.
        """
        super().__init__(dataset, num_replicas=ranks, rank=rank, shuffle=False)
        self.batches = batches
        self._batch_size = batch_size
        self._progress = progress
        self._done = done

    def __len__(self) -> int:
        """Samples of this rank in an epoch."""
        return self.batches * self._batch_size

    def __iter__(self) -> Iterator[tuple[int, float]]:
        start = self.epoch * self.batches if self._done is None else self._done()
        for batch in range(start, start + self.batches):
            first = (batch * self.num_replicas + self.rank) * self._batch_size
            progress = self._progress(batch)
            for number in range(first, first + self._batch_size):
                yield number, progress


class ClipLoader(DataLoader):
    """A `DataLoader` that is resumable, and says so to Lightning by having `state_dict` and `load_state_dict`."""

    def __iter__(self) -> Iterator[Any]:
        """Start the loading processes. A Ctrl-C meanwhile reaches this process afterwards, and them never."""
        with _interrupts_held():
            return super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """Nothing to save: `ClipSampler` follows the trainer's count of batches."""
        return {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Nothing to load."""


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold interrupts back from this process, and for good from the processes it starts (those not on Windows).

    The mask is what started processes inherit. It is this thread's only: an interrupt that another thread is given
    would still be raised in the main one, hence the handler.
    """
    handler = signal.getsignal(signal.SIGINT)
    held: list[int] = []
    holds = handler is not None and threading.current_thread() is threading.main_thread()
    masks = hasattr(signal, "pthread_sigmask")
    if holds:
        signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    if masks:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if holds:
            signal.signal(signal.SIGINT, handler)
        if held:
            signal.raise_signal(signal.SIGINT)
