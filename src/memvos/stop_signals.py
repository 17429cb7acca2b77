"""Ctrl-C and SIGTERM: asked for once, a stop waits until nothing is half done; asked for again, it does not wait."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Has someone asked for a stop? Whoever works looks at it between two steps, saves, and stops.

    Args:
        unit: what is finished first, e.g. "step", for the message.
        waits: False if there is nothing to save: then the first signal stops at once.

    Attributes:
        arrived: set by the first signal. A second one raises KeyboardInterrupt where it arrives.
    """

    def __init__(self, unit: str, waits: bool = True) -> None:
        self.arrived = False
        self._unit, self._waits = unit, waits

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within, SIGINT and SIGTERM are requests, and no earlier one counts.

        Python gives signals to the main thread: elsewhere they are left alone.
        """
        self.arrived = False
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with _handled(self._request, *SIGNALS):
            yield

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.arrived or not self._waits:
            raise KeyboardInterrupt
        self.arrived = True
        name = signal.Signals(number).name
        print(f"\n{name}: finishing this {self._unit} and saving; once more stops at once", file=sys.stderr, flush=True)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Within, SIGTERM is taken as Ctrl-C is."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(f"Ended by {signal.Signals(number).name}.")

    with _handled(interrupt, signal.SIGTERM):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], *numbers: int) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
