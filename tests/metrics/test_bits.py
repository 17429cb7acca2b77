"""The arithmetic on packed masks against the same definitions written out pixel by pixel."""

import math
import sys
import types
from fractions import Fraction

import numpy as np
import pytest

from memvos.metrics import boundary_accuracy, region_similarity, score_sequence, statistics, summarise
from memvos.metrics.bits import count, pack


def disk(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x**2 + y**2 <= radius**2


def boundary(mask: np.ndarray) -> np.ndarray:
    """Differs from the pixel right, below or right below; outside the image nothing is compared but the border rows."""
    edges = np.zeros_like(mask)
    height, width = mask.shape
    for y in range(height):
        for x in range(width):
            near = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            edges[y, x] = any(mask[y, x] != mask[b, a] for b, a in near if b < height and a < width)
    return edges


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    padded, result = np.pad(mask, radius), np.zeros_like(mask)
    for dy, dx in np.argwhere(disk(radius)):
        result |= padded[dy : dy + mask.shape[0], dx : dx + mask.shape[1]]
    return result


def slow_f(gt: np.ndarray, prediction: np.ndarray) -> float:
    radius = math.ceil(0.008 * math.hypot(*gt.shape))
    edges = boundary(gt), boundary(prediction)
    if not edges[0].any() and not edges[1].any():
        return 1.0
    if not edges[0].any() or not edges[1].any():
        return 0.0
    recall = (edges[0] & dilate(edges[1], radius)).sum() / edges[0].sum()
    precision = (edges[1] & dilate(edges[0], radius)).sum() / edges[1].sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def blob(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A rough ellipse that may touch the border, with some noise."""
    y, x = np.mgrid[:height, :width]
    cy, cx, ry, rx = rng.uniform(0, 1, 4) * (height, width, height / 2, width / 2) + (0, 0, 1, 1)
    inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
    return inside ^ (rng.random((height, width)) < 0.002)


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (3, 63), (40, 64), (33, 65), (64, 128), (57, 130), (9, 200)])
def test_j_and_f_are_those_of_the_definition(size):
    rng = np.random.default_rng(size)
    for _ in range(6):
        gt = blob(rng, *size)
        prediction = np.roll(gt, rng.integers(-3, 4, 2), (0, 1)) if rng.random() < 0.6 else blob(rng, *size)
        assert boundary_accuracy(gt, prediction) == pytest.approx(slow_f(gt, prediction), abs=1e-9)
        union = (gt | prediction).sum()
        assert region_similarity(gt, prediction) == pytest.approx((gt & prediction).sum() / union if union else 1)


@pytest.mark.parametrize("tolerance", [0.02, 0.2, 0.6])
def test_any_radius_reaches_as_far_as_the_disk(tolerance):
    rng = np.random.default_rng(5)
    gt, prediction = np.zeros((70, 150), bool), np.zeros((70, 150), bool)
    gt[tuple(rng.integers(0, (70, 150), (12, 2)).T)] = True
    prediction[tuple(rng.integers(0, (70, 150), (12, 2)).T)] = True
    radius = math.ceil(tolerance * math.hypot(70, 150))
    edges = boundary(gt), boundary(prediction)
    recall = (edges[0] & dilate(edges[1], radius)).sum() / edges[0].sum()
    precision = (edges[1] & dilate(edges[0], radius)).sum() / edges[1].sum()
    expected = 2 * precision * recall / (precision + recall) if precision + recall else 0
    assert boundary_accuracy(gt, prediction, tolerance=tolerance) == pytest.approx(expected, abs=1e-9)


def test_packing_keeps_every_pixel():
    mask = np.random.default_rng(0).random((5, 131)) < 0.5
    assert pack(mask).shape == (5, 3)
    assert count(pack(mask)) == mask.sum()
    assert [bool(pack(mask)[2, x // 64] >> np.uint64(x % 64) & np.uint64(1)) for x in range(131)] == mask[2].tolist()


@pytest.fixture
def toolkit(monkeypatch):
    """The evaluator of vos-benchmark; scikit-image, of which it takes the disk, is not needed."""
    morphology = types.ModuleType("skimage.morphology")
    morphology.disk = lambda radius: disk(int(radius)).astype(np.uint8)
    monkeypatch.setitem(sys.modules, "skimage", types.ModuleType("skimage"))
    monkeypatch.setitem(sys.modules, "skimage.morphology", morphology)
    return pytest.importorskip("vos_benchmark.evaluator", reason="needs the package vos-benchmark").Evaluator()


def test_random_empty_and_missing_masks_score_as_the_published_toolkit_says(toolkit):
    rng = np.random.default_rng(1)
    truth, prediction = (np.zeros((14, 90, 141), np.uint8) for _ in range(2))
    for t in range(14):
        for key in (1, 2, 3):
            truth[t][blob(rng, 90, 141)] = key
            if key < 3 and t not in (4, 5):  # object 3 is never predicted, nothing is on two frames
                prediction[t][blob(rng, 90, 141) if t % 3 else truth[t] == key] = key
    truth[7:9] = 0
    truth[0, :4, :30] = [[1] * 10 + [2] * 10 + [3] * 10] * 4
    scores = score_sequence(truth, prediction)
    for labels, wanted in zip(prediction[1:-1], truth[1:-1], strict=True):
        toolkit.feed_frame(labels, wanted)
    for score in scores:
        assert len(score.j) == 12
        assert score.j == pytest.approx(np.array(toolkit.object_iou[score.object]), abs=1e-6)
        assert score.f == pytest.approx(np.array(toolkit.boundary_f[score.object]), abs=1e-6)


def in_exact_fractions(values):
    """Mean, recall and decay by the DAVIS protocol, with whole numbers and fractions only.

    The borders of the quarters are frames 1 + k (n - 1) / 4, k = 0 … 4, rounded to the nearest frame, halves up; a
    quarter holds both its borders. Recall counts values above one half.
    """
    values = [Fraction(value) for value in values]
    count = len(values)
    borders = [(2 * k * (count - 1) + 4) // 8 for k in range(5)]  # floor of k (n - 1) / 4 + 1 / 2, from 0
    first, last = values[: borders[1] + 1], values[borders[3] : borders[4] + 1]
    recall = Fraction(sum(2 * value > 1 for value in values), count)
    return sum(values) / count, recall, sum(first) / len(first) - sum(last) / len(last)


@pytest.mark.parametrize("count", [*range(1, 34), 102, 256])
def test_statistics_of_any_number_of_frames_are_those_of_exact_fractions(count):
    values = np.random.default_rng(count).integers(0, 9, count) / 8  # exact in binary, one half among them
    assert statistics(values) == pytest.approx([float(value) for value in in_exact_fractions(values)], abs=1e-12)


@pytest.mark.parametrize(
    ("values", "mean", "recall", "decay"),
    [
        ([0.75], 0.75, 1, 0),  # one frame is the first and the last quarter
        ([0.75, 0.25], 0.5, 0.5, 0.5),  # borders 1, 1, 2, 2, 2: each frame is a quarter of its own
        ([1, 0.5, 0.25], 7 / 12, 1 / 3, 0.5),  # borders 1, 2, 2, 3, 3: frames 1-2 and frame 3; one half is not above it
        ([1, 0.5, 0.25, 0], 0.4375, 0.25, 0.625),  # borders 1, 2, 3, 3, 4: frames 1-2 and 3-4
    ],
)
def test_statistics_of_few_frames_worked_by_hand(values, mean, recall, decay):
    assert statistics(values) == pytest.approx((mean, recall, decay))
    assert [float(value) for value in in_exact_fractions(values)] == pytest.approx([mean, recall, decay])


def test_missing_values_in_a_quarter_are_left_out_of_the_decay_and_a_quarter_of_them_is_missing():
    nan = math.nan
    assert statistics([1, nan, 0.5, 0.5, nan, 0.25])[2] == 1 - 0.25  # borders 1, 2, 4, 5, 6: frames 1-2 and 5-6
    assert math.isnan(statistics([nan, nan, nan, 0.5, 0.5, 0.5, 0.5, 0.5])[2])
    assert statistics([nan, nan, 0.5, 0.75, 0.5, 0.5, 0.5, nan])[1] == 1 / 8


def test_scores_of_whole_sequences_are_the_official_ones(toolkit):
    """Random, empty and missing masks through the published arithmetic, and the means of its fractions."""
    rng = np.random.default_rng(4)
    expected, scores = [], []
    for video, frames in enumerate((3, 4, 7, 12)):
        toolkit.object_iou.clear()
        toolkit.boundary_f.clear()
        toolkit.objects_in_gt.update((1, 2, 3))  # all count from the start
        truth, prediction = (np.zeros((frames, 60, 83), np.uint8) for _ in range(2))
        for t in range(frames):
            for key in (1, 2, 3):
                truth[t][blob(rng, 60, 83)] = key
                if key < 3 and rng.random() < 0.8:
                    prediction[t][truth[t] == key if rng.random() < 0.5 else blob(rng, 60, 83)] = key
        truth[0, :4, :30] = [[1] * 10 + [2] * 10 + [3] * 10] * 4
        truth[frames // 2] *= rng.random() < 0.5
        scores += score_sequence(truth, prediction, f"video{video}")
        for labels, wanted in zip(prediction[1:-1], truth[1:-1], strict=True):
            toolkit.feed_frame(labels, wanted)
        for key in (1, 2, 3):
            values = toolkit.object_iou[key], toolkit.boundary_f[key]
            expected.append([float(v) for line in values for v in in_exact_fractions(line)])
    names = ("J", "J_recall", "J_decay", "F", "F_recall", "F_decay")
    ours = [[score.measures()[name] for name in names] for score in scores]
    np.testing.assert_allclose(ours, expected, atol=1e-6, rtol=0)
    total = summarise(scores).scores
    assert [total[name] for name in names] == pytest.approx(np.mean(expected, axis=0), abs=1e-6)
    assert total["J&F"] == pytest.approx((total["J"] + total["F"]) / 2, abs=1e-6)
