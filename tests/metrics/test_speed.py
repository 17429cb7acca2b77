import math
import mmap

import pytest

from memvos.metrics import SpeedMeter, resident_mib


def test_only_time_inside_counts():
    ticks = iter([10.0, 10.25, 20.0, 20.75])
    meter = SpeedMeter(clock=lambda: next(ticks))
    for _ in range(2):
        with meter.frame():
            pass  # a quarter of a second, then three quarters
    assert (meter.frames, meter.seconds, meter.fps) == (2, 1.0, 2.0)


def test_a_pause_does_not_count():
    ticks = iter([10.0, 10.5, 13.5, 14.0])
    meter = SpeedMeter(clock=lambda: next(ticks))
    with meter.frame(), meter.pause():
        pass  # half a second, three that do not count, half a second
    assert meter.seconds == 1.0


def test_asynchronous_work_is_waited_for_before_and_after():
    calls = []
    with SpeedMeter(synchronize=lambda: calls.append("wait")).frame():
        calls.append("work")
    assert calls == ["wait", "work", "wait"]


def test_a_frame_that_fails_does_not_count():
    meter = SpeedMeter()
    with pytest.raises(RuntimeError), meter.frame():
        raise RuntimeError
    assert meter.frames == 0
    assert math.isnan(meter.fps)


def test_resident_memory_is_that_of_this_process():
    before = resident_mib()
    with mmap.mmap(-1, 2**27) as held:  # 128 MiB, which an allocator cannot have at hand already
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        assert resident_mib() - before == pytest.approx(128, abs=16)
    assert resident_mib() - before < 64
