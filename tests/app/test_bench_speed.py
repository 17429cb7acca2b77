import csv

import pytest

from memvos.app import bench, bench_speed

SMALL = ("scale=smoke", "model.backbone.weights=null")


def test_ratios_are_of_times_taken_side_by_side(monkeypatch):
    times = {
        "baseline": [0.6, 1.2, 0.6],
        "QAM": [0.66, 1.2, 0.72],
        "PEM": [0.6, 1.2, 0.6],
        "QAM + PEM": [0.66, 1.5, 0.6],
    }
    monkeypatch.setattr(bench, "alternate_all", lambda works, rounds: {name: [times[name]] for name in works})
    rows = {row["network"]: row for row in bench_speed.compare(SMALL, 3)}
    assert rows["QAM"]["time_to_baseline"] == pytest.approx(1.1)  # of 1.1, 1.0 and 1.2
    assert (rows["QAM"]["least"], rows["QAM"]["most"]) == pytest.approx((1.0, 1.2))
    assert rows["baseline"]["ms_per_frame"] == pytest.approx(50)  # 0.6 s for 12 frames
    assert rows["QAM + PEM"]["paper_time_to_baseline"] == pytest.approx(8.6 / 7.8)
    assert rows["QAM"]["paper_time_to_baseline"] is None


def test_the_networks_of_table_5_are_timed_and_written(tmp_path, capsys):
    assert bench.run(["speed", *SMALL, "rounds=1", f"output={tmp_path}"]) == 0
    with (tmp_path / "speed.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["network"] for line in lines] == ["baseline", "QAM", "PEM", "QAM + PEM"]
    assert all(float(line["ms_per_frame"]) > 0 for line in lines)
    assert (tmp_path / "speed.png").stat().st_size > 1000
    assert "QAM + PEM" in capsys.readouterr().out


def test_rounds_are_a_positive_number():
    with pytest.raises(ValueError, match="expected rounds=N with N of at least 1, got rounds=0"):
        bench.run(["speed", *SMALL, "rounds=0"])
