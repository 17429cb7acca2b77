import math

import numpy as np
import pytest
from scipy import stats

from memvos.metrics import calibration, pearson, spearman


def test_pearson_worked_by_hand():
    # deviations (-1, 0, 1) and (-1, 1, 0): 1 / (√2 √2)
    assert pearson([1, 2, 3], [0, 2, 1]) == pytest.approx(0.5)


def test_spearman_sees_only_the_order():
    assert spearman([0.1, 0.2, 0.9], [0.5, 0.6, 0.61]) == pytest.approx(1)
    assert spearman([3, 2, 1], [0.1, 0.2, 0.9]) == pytest.approx(-1)


def test_equal_values_share_their_mean_rank():
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / √(4.5 · 5)
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_correlations_equal_scipy_on_random_values_with_ties():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 8, 200) / 8, rng.random(200)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_constant_or_too_few_values_have_no_correlation(correlation):
    assert math.isnan(correlation([0.7, 0.7, 0.7], [0.1, 0.2, 0.3]))
    assert math.isnan(correlation([0.1], [0.2]))
    assert math.isnan(correlation([0.1, math.nan], [0.2, 0.3]))


def test_calibration_worked_by_hand():
    # two bins: below .5 (.2 against 0, .4 against 1) and above (.9 against .8, 1 against .9)
    curve = calibration([0.2, 0.4, 0.9, 1.0], [0.0, 1.0, 0.8, 0.9], bins=2)
    assert curve.count.tolist() == [2, 2]
    assert curve.predicted == pytest.approx([0.3, 0.95])
    assert curve.true == pytest.approx([0.5, 0.85])
    assert curve.ece == pytest.approx((0.2 * 2 + 0.1 * 2) / 4)
    assert curve.bias == pytest.approx(0.625 - 0.675)
    assert curve.edges.tolist() == [0, 0.5, 1]


def test_empty_bins_hold_nan_and_unbounded_scores_fall_into_the_last_bin():
    curve = calibration([1.7, 0.95], [0.9, 0.9], bins=4)
    assert curve.count.tolist() == [0, 0, 0, 2]
    assert np.isnan(curve.true[:3]).all()
    assert curve.bias > 0  # over-confident


def test_a_score_beyond_every_integer_falls_into_the_nearest_bin():
    assert calibration([1e30, math.inf, -1e30], [1, 1, 1], bins=4).count.tolist() == [1, 0, 0, 2]


def test_pairs_without_a_known_iou_are_left_out():
    assert calibration([0.5, 0.9], [0.5, math.nan]).count.sum() == 1
    assert math.isnan(calibration([], []).ece)


def test_arrays_that_do_not_fit_are_refused():
    for measure in (pearson, spearman, calibration):
        with pytest.raises(ValueError, match=r"expected two arrays \(K,\) of one length, got shapes \(2,\) and \(3,\)"):
            measure([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="expected at least one bin, got 0"):
        calibration([1], [1], bins=0)
