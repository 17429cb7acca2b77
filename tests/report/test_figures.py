from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from memvos.report import figures
from memvos.report.table import build

LEVELS = {"baseline": 0.5, "qam": 0.52, "pem": 0.55, "both": 0.6, "copy_first": 0.25, "matching": 0.4}


def test_every_figure_is_drawn_where_everything_ran(spec, results, tmp_path):
    table = build(spec, results(spec, tmp_path, LEVELS, clips=6))
    files = figures.draw(table, tmp_path)
    assert [path.name for path in files.values()] == [
        "table.png",
        "differences.png",
        "calibration.png",
        "distribution.png",
        "corrupted.png",
    ]
    for path in files.values():
        assert np.asarray(Image.open(path).convert("L")).std() > 10


def test_bars_show_the_means_and_rings_the_papers_numbers(spec, results, tmp_path):
    table = build(spec, results(spec, tmp_path, LEVELS, clips=6))
    (axes,) = figures.rows(table).axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([line.scores["J&F"].mean for line in table.lines], abs=1e-6)
    (rings,) = (line for line in axes.lines if line.get_marker() == "o")
    assert list(zip(rings.get_ydata(), rings.get_xdata(), strict=True)) == [(0, 82.9), (1, 84.3), (2, 83.6), (3, 84.6)]


def test_a_stop_while_a_report_is_written_again_leaves_the_older_picture(spec, results, tmp_path, monkeypatch):
    table = build(spec, results(spec, tmp_path / "results", LEVELS, clips=6))
    path = figures.draw(table, tmp_path)["Rows and floors with 95 % intervals"]
    older = path.read_bytes()

    def stopped(figure, draft, **_):
        draft.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(figures.Figure, "savefig", stopped)
    with pytest.raises(KeyboardInterrupt):
        figures.draw(table, tmp_path)
    assert path.read_bytes() == older


def test_pollution_curves_follow_the_rates_a_hundredth_of_the_axis_apart(spec, results, tmp_path):
    table = build(spec, results(spec, tmp_path, LEVELS, clips=6, skip=["both__corrupted30"]))
    (axes,) = figures.swept(table, spec.sweeps[0]).axes
    curves = {line.get_label(): list(line.get_xdata()) for line in axes.lines if line.get_label()[0] != "_"}
    assert curves["QAM gate"] == pytest.approx([0, 10, 50])
    assert curves["no gate"] == pytest.approx([-0.5, 9.5, 29.5, 49.5])
    assert curves["oracle gate"] == pytest.approx([0.5, 10.5, 30.5, 50.5])


def test_every_curve_of_a_further_measure_fits_in(spec, results, tmp_path):
    table = build(spec, results(spec, tmp_path, LEVELS, clips=6))
    rejected = {"none": 0.0, "qam": 0.6, "oracle": 0.9}
    points = tuple(replace(p, measures={"gated_clean_fraction": rejected[p.curve]}) for p in table.swept)
    _, further = figures.swept(replace(table, swept=points), spec.sweeps[0]).axes
    assert further.get_ylim()[0] == 0
    assert further.get_ylim()[1] > 0.9


def test_calibration_shows_mean_iou_of_filled_bins(spec, result, tmp_path):
    pairs = [(0.525, 0.4)] * 30 + [(0.925, 0.9)] * 25 + [(0.125, 0.9)] * 3
    result(tmp_path / "qam", "qam", 0, {("a", "1"): 0.5}, quality={"bias": 0.1}, pairs=pairs)
    curve, _ = figures.calibration(build(spec, tmp_path)).axes
    line = next(line for line in curve.lines if line.get_label() == "QAM")
    assert line.get_xdata() == pytest.approx([0.525, 0.925])
    assert line.get_ydata() == pytest.approx([0.4, 0.9])


def test_what_has_nothing_to_show_is_not_drawn_and_an_old_picture_goes(spec, tmp_path):
    (tmp_path / "corrupted.png").write_text("old")
    assert figures.draw(build(spec, tmp_path), tmp_path) == {}
    assert not (tmp_path / "corrupted.png").exists()


def test_time_and_memory_are_drawn_by_frame_of_the_longest_video(spec, result, tmp_path):
    folder = result(tmp_path / "qam", "qam", 0, {("a", "1"): 0.5})
    lines = [f"b,{t},0.5,1,1.0,100" for t in range(10)] + [
        f"a,{t},{0.02 if t < 50 else 0.04},{t},2.5,100" for t in range(100)
    ]
    (folder / "frames.csv").write_text("\n".join(["video,frame,seconds,memory_frames,memory_mib,resident_mib", *lines]))
    table = build(replace(spec, course=True), tmp_path)
    held, speed, memory = figures.course(table, smooth=5).axes
    assert list(held.lines[0].get_ydata()) == list(range(100))
    assert speed.lines[0].get_ydata()[[0, -1]] == pytest.approx([50, 25])
    assert list(speed.lines[0].get_xdata())[:1] == [2]
    assert memory.lines[0].get_ydata().tolist() == [2.5] * 100
    text = dict(table.findings)["A video of 100 frames, QAM:"]
    assert text.startswith(
        "99 frames in memory at the end (at most 99), 2.5 MiB of keys and values; 50.0 frames per second"
    )
    assert "25.0 in the last 5" in text
