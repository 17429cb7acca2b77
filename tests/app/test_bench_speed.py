import csv

import pytest

from memvos.app import bench_common as bench
from memvos.app import bench_speed
from memvos.app.options import load_table


@pytest.fixture(scope="module")
def spec():
    return load_table("qdmn_speed")


def test_ratios_are_of_times_taken_side_by_side(monkeypatch, spec):
    times = {"baseline": [0.6, 1.2, 0.6], "qam": [0.66, 1.2, 0.72], "pem": [0.6, 1.2, 0.6], "both": [0.66, 1.5, 0.6]}
    monkeypatch.setattr(bench, "alternate_all", lambda works, rounds: {name: [times[name]] for name in works})
    monkeypatch.setattr(bench_speed, "_clip", lambda config, size: None)
    settings = {row: {"threads": 1} for row in times}
    lines = {line["network"]: line for line in bench_speed.compare(spec, settings, 3, (32, 48))}
    assert lines["QAM"]["time_to_baseline"] == pytest.approx(1.1)  # of 1.1, 1.0 and 1.2
    assert (lines["QAM"]["least"], lines["QAM"]["most"]) == pytest.approx((1.0, 1.2))
    assert lines["baseline"]["ms_per_frame"] == pytest.approx(50)  # 0.6 s for 12 frames
    assert lines["QAM + PEM"]["paper_time_to_baseline"] == pytest.approx(8.6 / 7.8)
    assert lines["QAM"]["paper_time_to_baseline"] is None


def test_the_networks_of_table_5_are_timed_and_written(memvos, home):
    code, output, _ = memvos("bench", "speed", "scale=smoke", "rounds=1", "output=speed")
    assert code == 0
    assert "QAM + PEM" in output
    with (home / "speed/table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["network"] for line in lines] == ["baseline", "QAM", "PEM", "QAM + PEM"]
    assert all(float(line["ms_per_frame"]) > 0 for line in lines)
    assert (home / "speed/speed.png").stat().st_size > 1000
    assert "![time per frame](speed.png)" in (home / "speed/table.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        (["scale=smoke", "data.frame_size=[48,64]"], (48, 64)),
        (["scale=smoke", "size=32x40"], (32, 40)),
        (["scale=paper", "data=synthetic"], (480, 854)),
    ],
)
def test_the_size_of_the_frames_is_told(monkeypatch, spec, tmp_path, arguments, size):
    clips = []
    monkeypatch.setattr(bench_speed, "_clip", lambda config, size: clips.append(size) or (lambda: None))
    measured = bench_speed.measure(spec, arguments, 1, tmp_path)
    assert clips == [size] * 4
    assert dict(measured.header)["frame size"] == f"{size[0]}×{size[1]}"
    assert f"Frames of {size[0]}×{size[1]} pixels" in measured.section.note
    assert {line["frame_size"] for line in measured.lines} == {f"{size[0]}x{size[1]}"}


def test_a_size_is_a_height_and_a_width(memvos):
    code, _, error = memvos("bench", "speed", "size=480")
    assert code == 2
    assert "expected size=HEIGHTxWIDTH in pixels, e.g. size=240x432, got size=480" in error


def test_rounds_are_a_positive_number(memvos):
    for arguments in (("bench", "speed"), ("bench", "modules")):
        code, _, error = memvos(*arguments, "rounds=0")
        assert code == 2
        assert "expected rounds=N with N of at least 1, got rounds=0" in error
