import re

import pytest

from memvos.app import bench, bench_common, bench_stream

SMALL = ("scale=smoke", "model.backbone.weights=null", "size=32x48", "rounds=1")


def test_memory_and_time_are_compared_with_the_early_frame(monkeypatch, capsys):
    monkeypatch.setattr(bench_stream, "EARLY", 20)
    assert bench.run(["stream", *SMALL, "frames=40", "memory.beta=2", "memory.every=4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "40 frames of 32×48, scale smoke, at most 2 in memory"
    held = {int(line.split()[0]): int(line.split()[1]) for line in lines[2:-2]}
    assert sorted(held) == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    assert held[4] == 2  # the annotated frame and the temporary previous one
    assert held[20] == held[40] == 5  # annotated, previous, and one more than beta: the next one replaces the worst
    assert re.fullmatch(r"process at frame 40 relative to frame 20: \d\.\d{3}", lines[-2])
    assert re.match(
        r"time per frame after frame 40 relative to after frame 20, over 1 rounds: \d+\.\d{3} \[", lines[-1]
    )


def test_a_stream_is_longer_than_what_it_is_compared_with():
    with pytest.raises(ValueError, match="expected more frames than the 500 they are compared with, got frames=500"):
        bench.run(["stream", *SMALL, "frames=500"])


def test_a_size_is_two_numbers_of_pixels():
    assert bench_common.frame_size("240x432") == (240, 432)
    with pytest.raises(ValueError, match=r"expected size=HEIGHTxWIDTH in pixels.*got size=240"):
        bench.run(["stream", "size=240"])


def test_frames_are_a_positive_number():
    with pytest.raises(ValueError, match="expected frames=N with N of at least 1, got frames=many"):
        bench.run(["stream", *SMALL, "frames=many"])
