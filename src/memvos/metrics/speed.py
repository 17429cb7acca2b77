"""Speed and memory: frames per second as the papers count them (all frames, the first included, without I/O)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil


class SpeedMeter:
    """Adds up the time of what runs inside `frame()`; reading and writing stay outside.

        with meter.frame():
            step = segmenter.step(image)
        save(step)

    Args:
        synchronize: called before the clock is read, where work is asynchronous (`torch.cuda.synchronize`).
        clock: seconds, monotonic.
    """

    def __init__(
        self, synchronize: Callable[[], object] | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.synchronize, self.clock = synchronize, clock
        self.frames, self.seconds = 0, 0.0

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Time one frame; a frame that raises does not count."""
        start = self._now()
        yield
        self.seconds += self._now() - start
        self.frames += 1

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave out what runs inside, within a frame: what only watches the work."""
        start = self._now()
        yield
        self.seconds -= self._now() - start

    @property
    def fps(self) -> float:
        """Frames per second; NaN before the first frame."""
        return self.frames / self.seconds if self.frames and self.seconds > 0 else math.nan

    def _now(self) -> float:
        if self.synchronize is not None:
            self.synchronize()
        return self.clock()


def resident_mib() -> float:
    """Memory this process holds at the moment, in MiB."""
    return psutil.Process().memory_info().rss / 2**20
