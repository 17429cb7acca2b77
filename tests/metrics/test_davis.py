import json
import math

import numpy as np
import pytest
from PIL import Image

from memvos.metrics import boundary_accuracy, region_similarity, statistics


def box(shape, top, left, bottom, right):
    mask = np.zeros(shape, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def literal_boundary(mask):
    """The definition, pixel by pixel: a boundary pixel differs from its right, lower or lower right neighbour."""
    height, width = mask.shape
    edges = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            neighbours = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            edges[y, x] = any(mask[p] != mask[y, x] for p in neighbours if p[0] < height and p[1] < width)
    return edges


def literal_f(gt, prediction, tolerance=0.008):
    """The definition, point by point: a boundary point matches if the other boundary has a point within the radius."""
    radius = math.ceil(tolerance * math.sqrt(gt.shape[0] ** 2 + gt.shape[1] ** 2))
    true, found = np.argwhere(literal_boundary(gt)), np.argwhere(literal_boundary(prediction))
    if len(true) == len(found) == 0:
        return 1.0
    if len(true) == 0 or len(found) == 0:
        return 0.0
    near = ((true[:, None] - found[None]) ** 2).sum(axis=2) <= radius**2
    recall, precision = near.any(axis=1).mean(), near.any(axis=0).mean()
    return 0.0 if recall + precision == 0 else 2 * recall * precision / (recall + precision)


def blobs(rng, shape, density):
    """Random masks with smooth and ragged parts, some of which touch the border."""
    coarse = rng.random((shape[0] // 8 + 1, shape[1] // 8 + 1)) < density
    mask = np.kron(coarse, np.ones((8, 8), dtype=bool))[: shape[0], : shape[1]]
    return mask ^ (rng.random(shape) < 0.01)


def test_region_similarity_is_intersection_over_union():
    # 4×4 against the same square moved by two: 8 pixels shared, 24 covered
    assert region_similarity(box((9, 9), 1, 1, 5, 5), box((9, 9), 1, 3, 5, 7)) == pytest.approx(8 / 24)


def test_two_empty_masks_agree():
    empty = np.zeros((6, 7), dtype=bool)
    assert region_similarity(empty, empty) == 1
    assert boundary_accuracy(empty, empty) == 1


def test_one_empty_mask_scores_zero():
    empty, square = np.zeros((6, 7), dtype=bool), box((6, 7), 1, 1, 4, 4)
    for gt, prediction in ((empty, square), (square, empty)):
        assert region_similarity(gt, prediction) == 0
        assert boundary_accuracy(gt, prediction) == 0


def test_a_mask_that_covers_the_image_has_no_boundary():
    # the last column is compared only downwards and the last row only sideways, so the frame's border is no boundary
    full, square = np.ones((6, 7), dtype=bool), box((6, 7), 1, 1, 4, 4)
    assert boundary_accuracy(full, full) == 1
    assert boundary_accuracy(full, square) == 0


def test_boundary_accuracy_of_two_single_pixels_worked_by_hand():
    # a lone pixel (y, x) has the boundary (y-1, x-1), (y-1, x), (y, x-1), (y, x); a diagonal of 20 and a tolerance
    # of .05 give radius 1. Moved right by 2: two of the four points lie at distance 1, two at distance 2.
    gt, prediction = np.zeros((12, 16), dtype=bool), np.zeros((12, 16), dtype=bool)
    gt[5, 5] = prediction[5, 7] = True
    assert boundary_accuracy(gt, prediction, tolerance=0.05) == pytest.approx(0.5)
    # moved right and down by 2 only the facing corners come near, and their distance is √2 > 1
    prediction = np.roll(prediction, 2, axis=0)
    assert boundary_accuracy(gt, prediction, tolerance=0.05) == 0


def test_precision_and_recall_are_combined_harmonically():
    # the prediction holds the true pixel and one far away: recall 1, precision 4/8
    gt, prediction = np.zeros((12, 16), dtype=bool), np.zeros((12, 16), dtype=bool)
    gt[2, 2] = prediction[2, 2] = prediction[9, 12] = True
    assert boundary_accuracy(gt, prediction) == pytest.approx(2 * 0.5 / 1.5)


@pytest.mark.parametrize("seed", range(12))
def test_random_masks_score_as_the_literal_definition_says(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 70, size=2))
    gt, prediction = (blobs(rng, shape, rng.choice([0, 0.1, 0.5, 1])) for _ in range(2))
    tolerance = float(rng.choice([0, 0.008, 0.03, 0.2]))
    assert boundary_accuracy(gt, prediction, tolerance=tolerance) == pytest.approx(
        literal_f(gt, prediction, tolerance), abs=1e-12
    )
    union = (gt | prediction).sum()
    assert region_similarity(gt, prediction) == pytest.approx((gt & prediction).sum() / union if union else 1)


def test_the_neighbourhood_is_a_full_disk():
    # two lone pixels at every displacement up to 9 under a radius of 8: a hole or a square would show
    shape = (24, 32)  # diagonal 40
    for dy in range(10):
        for dx in range(10):
            gt, prediction = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
            gt[6, 7] = prediction[6 + dy, 7 + dx] = True
            assert boundary_accuracy(gt, prediction, tolerance=0.2) == literal_f(gt, prediction, tolerance=0.2)


def test_masks_in_a_corner_and_of_240p_score_as_the_literal_definition_says():
    gt, prediction = np.zeros((240, 427), dtype=bool), np.zeros((240, 427), dtype=bool)
    gt[200:, 373:], prediction[203:, 369:] = True, True
    prediction[:3, :3] = True
    assert boundary_accuracy(gt, prediction) == pytest.approx(literal_f(gt, prediction), abs=1e-12)


def test_a_stack_of_frames_gives_one_score_per_frame():
    gt = np.stack([box((20, 30), 2, 2, 10, 10), np.zeros((20, 30), dtype=bool), box((20, 30), 0, 0, 20, 30)])
    prediction = np.stack([box((20, 30), 2, 4, 10, 12), np.zeros((20, 30), dtype=bool), box((20, 30), 5, 5, 9, 9)])
    for measure in (region_similarity, boundary_accuracy):
        assert measure(gt, prediction).tolist() == [measure(*pair) for pair in zip(gt, prediction, strict=True)]
    assert region_similarity(gt, prediction).tolist() == [48 / 80, 1, 16 / 600]


def test_the_two_masks_may_change_places():
    gt, prediction = blobs(np.random.default_rng(3), (50, 60), 0.3), blobs(np.random.default_rng(4), (50, 60), 0.3)
    for measure in (region_similarity, boundary_accuracy):
        assert measure(gt, prediction) == pytest.approx(measure(prediction, gt))


def test_void_pixels_do_not_count():
    gt, prediction = box((9, 9), 1, 1, 5, 5), box((9, 9), 1, 1, 5, 8)
    assert region_similarity(gt, prediction, void=box((9, 9), 0, 5, 9, 9)) == 1
    assert boundary_accuracy(gt, prediction, void=box((9, 9), 0, 5, 9, 9)) == 1


def test_masks_of_zeros_and_ones_are_taken_as_boolean():
    gt = box((9, 9), 1, 1, 5, 5)
    assert region_similarity(gt.astype(np.uint8), gt) == boundary_accuracy(gt.astype(np.int64), gt) == 1


@pytest.mark.parametrize("measure", [region_similarity, boundary_accuracy])
def test_wrong_masks_are_refused(measure):
    mask = np.zeros((4, 5), dtype=bool)
    with pytest.raises(ValueError, match=r"prediction has shape \(5, 4\), gt \(4, 5\); resize"):
        measure(mask, mask.T)
    with pytest.raises(ValueError, match=r"void has shape \(5, 4\), gt \(4, 5\)"):
        measure(mask, mask, void=mask.T)
    with pytest.raises(ValueError, match=r"gt: expected a mask \(H, W\) or \(T, H, W\), got shape \(4,\)"):
        measure(mask[:, 0], mask[:, 0])
    for empty in (mask[:0, :0], mask[:0], mask[None, :, :0]):
        with pytest.raises(ValueError, match=r"gt: expected a mask with pixels, got shape \(.*0.*\)"):
            measure(empty, empty)
    with pytest.raises(ValueError, match="prediction: expected a boolean mask, got uint8; compare labels with an id"):
        measure(mask, np.full((4, 5), 2, dtype=np.uint8))
    with pytest.raises(ValueError, match="prediction: expected a boolean mask, got float64"):
        measure(mask, np.zeros((4, 5)))


@pytest.mark.parametrize("tolerance", [-1, math.nan, math.inf, 3])
def test_a_tolerance_that_is_no_ratio_is_refused(tolerance):
    mask = np.eye(4, dtype=bool)
    with pytest.raises(ValueError, match=f"a ratio of the image diagonal, from 0 to 1, got {tolerance}; divide pixels"):
        boundary_accuracy(mask, mask, tolerance=tolerance)
    assert boundary_accuracy(mask, mask, tolerance=0) == 1


def test_statistics_worked_by_hand():
    # nine frames: the borders of the quarters are frames 1, 3, 5, 7, 9: the first quarter is frames 1-3, the last 7-9
    values = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    mean, recall, decay = statistics(values)
    assert (mean, recall, decay) == pytest.approx((0.5, 4 / 9, 0.6))


def test_statistics_round_the_borders_of_the_quarters_up():
    # seven frames: borders 1, 2.5, 4, 5.5, 7 become 1, 3, 4, 6, 7: first quarter frames 1-3, last frames 6-7
    assert statistics([1, 1, 1, 0, 0, 0.5, 0.5])[2] == pytest.approx(0.5)


def test_statistics_of_more_than_256_frames_use_the_last_frames():
    assert statistics(np.linspace(1, 0, 400))[2] == pytest.approx(0.75, abs=0.01)


def test_statistics_leave_missing_values_out_of_the_mean_but_do_not_recall_them():
    assert statistics([math.nan, 1, 1, 1])[:2] == pytest.approx((1, 0.75))
    assert all(math.isnan(value) for value in statistics([]))
    assert math.isnan(statistics([math.nan, math.nan])[0])


def test_statistics_refuse_a_table():
    with pytest.raises(ValueError, match=r"expected per-frame values \(T,\), got shape \(2, 3\); call once per object"):
        statistics(np.zeros((2, 3)))


@pytest.mark.shared
def test_published_osvos_results_are_reproduced_to_their_printed_precision(shared):
    published = json.loads((shared / "data/davis2016_results/osvos_per_frame.json").read_text())
    assert len(published) == 10

    def load(path):
        mask = np.asarray(Image.open(path))
        return (mask if mask.ndim == 2 else mask[..., 0]) > 0

    for video, expected in published.items():
        names = sorted(path.name for path in (shared / "data/davis2016/Annotations/480p" / video).glob("*.png"))[1:-1]
        gt = np.stack([load(shared / "data/davis2016/Annotations/480p" / video / name) for name in names])
        prediction = np.stack([load(shared / "data/davis2016_results/osvos" / video / name) for name in names])
        for name, values in {"J": region_similarity(gt, prediction), "F": boundary_accuracy(gt, prediction)}.items():
            np.testing.assert_allclose(values, expected[name], atol=6e-4, rtol=0)
            ours, published = statistics(values), statistics(expected[name])
            assert ours[0] == pytest.approx(published[0], abs=6e-4)
            assert ours[1] == pytest.approx(published[1], abs=1e-9 if abs(values - 0.5).min() > 6e-4 else 1 / len(gt))
            assert ours[2] == pytest.approx(published[2], abs=1.2e-3)
