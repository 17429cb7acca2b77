import numpy as np
import pytest
from scipy.stats import spearmanr

from memvos.report.rank_correlation import _Ranked, rank_correlation

RISING = np.arange(1.0, 6.0)
CONSTANT = np.stack([np.full(5, 0.5), RISING], axis=1)


def noisy(random, clips, masks=12, noise=0.6):
    """Clips whose scores follow the IoU up to noise, both rounded so that some are equal."""
    iou = random.random((clips, masks))
    score = iou + noise * random.standard_normal(iou.shape)
    return {f"clip{k:02d}": np.stack([score[k], iou[k]], axis=1).round(1) for k in range(clips)}


def test_clips_count_as_often_as_they_were_picked():
    of_clips = noisy(np.random.default_rng(0), 4)
    picked = {"clip00": 2.0, "clip01": 0.0, "clip02": 3.0, "clip03": 1.0}
    repeated = np.concatenate([np.tile(of_clips[name], (int(count), 1)) for name, count in picked.items()])
    assert _Ranked(of_clips).correlation(picked) == pytest.approx(spearmanr(*repeated.T).statistic)
    whole = np.concatenate([*of_clips.values()])
    assert _Ranked(of_clips).correlation() == pytest.approx(spearmanr(*whole.T).statistic)


def test_the_interval_is_of_the_mean_over_seeds():
    random = np.random.default_rng(1)
    pairs = {seed: noisy(random, 8) for seed in (0, 1)}
    each = [spearmanr(*np.concatenate([*of_seed.values()]).T).statistic for of_seed in pairs.values()]
    interval = rank_correlation(pairs)
    assert interval.mean == pytest.approx(np.mean(each))
    assert interval.low < interval.mean < interval.high
    assert (interval.seeds, interval.clips, interval.objects) == (2, 8, 96)
    assert interval == rank_correlation(pairs)


def test_the_interval_holds_the_true_value_as_often_as_it_says():
    random = np.random.default_rng(2)
    whole = np.concatenate([*noisy(random, 4000).values()])
    truth = spearmanr(*whole.T).statistic
    found = [rank_correlation({0: noisy(random, 12)}, samples=200) for _ in range(100)]
    assert 88 <= sum(interval.low <= truth <= interval.high for interval in found) <= 100


def test_a_perfect_order_is_one_at_both_ends():
    pairs = {0: {name: np.stack([values, values**2], axis=1) for name, values in (("a", RISING), ("b", RISING + 1))}}
    interval = rank_correlation(pairs)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((1, 1, 1))


def test_seeds_of_constant_scores_are_left_out():
    rising = np.stack([RISING, RISING], axis=1)
    interval = rank_correlation({0: {"a": CONSTANT, "b": CONSTANT}, 1: {"a": rising, "b": rising}})
    assert (interval.mean, interval.seeds) == (1, 1)
    assert rank_correlation({0: {"a": CONSTANT}}) is None
    assert rank_correlation({}) is None


def test_one_clip_has_no_interval():
    interval = rank_correlation({0: {"a": np.stack([RISING, RISING], axis=1)}})
    assert interval.mean == 1
    assert np.isnan(interval.low)
