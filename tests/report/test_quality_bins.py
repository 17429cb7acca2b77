import csv

import numpy as np
import pytest

from memvos.report.render import write
from memvos.report.table import build


@pytest.fixture
def table(spec, tmp_path, result):
    pairs = [(0.52, 0.4), (0.54, 0.6), (0.97, 0.9), (1.2, 1.0)]
    folder = result(tmp_path / "qam", "qam", 0, {("a", "1"): 0.5}, quality={"bias": 0.1}, pairs=pairs)
    with (folder / "quality.csv").open("a", newline="") as file:  # a second object of the first frame
        csv.writer(file).writerow(["a", "00000", 2, 0.02, 0.8, 1, ""])
    return build(spec, tmp_path)


def test_pairs_fall_into_bins_of_a_twentieth(table):
    (bins,) = table.bins
    assert (bins.row, bins.label) == ("qam", "QAM")
    assert {int(i): int(bins.count[i]) for i in np.flatnonzero(bins.count)} == {0: 1, 10: 2, 19: 2}
    assert bins.true[[0, 10, 19]] == pytest.approx([0.8, 0.5, 0.95])
    assert np.isnan(bins.true[1])


def test_objects_of_a_frame_are_averaged_for_the_histogram(table):
    (bins,) = table.bins
    # frame 0: scores .52 and .02 → .27, IoU .4 and .8 → .6; frames 1 to 3 have one object
    assert {int(i): float(bins.predicted_frames[i]) for i in np.flatnonzero(bins.predicted_frames)} == {
        5: 0.25,
        10: 0.25,
        19: 0.5,
    }
    assert bins.true_frames[[12, 18, 19]] == pytest.approx([0.5, 0.25, 0.25])


def test_the_bins_are_written(table, tmp_path):
    write(table, tmp_path / "out")
    with (tmp_path / "out/quality_bins.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 20
    assert (lines[10]["from"], lines[10]["to"], lines[10]["pairs"], lines[10]["true_iou"]) == (
        "0.50",
        "0.55",
        "2",
        "0.5000",
    )
    assert lines[1]["true_iou"] == ""
