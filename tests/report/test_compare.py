import math

import numpy as np
import pytest

from memvos.report.compare import (
    GAINS,
    LOSES,
    UNCHANGED,
    UNDECIDED,
    Interval,
    bootstrap,
    paired_bootstrap,
    recovery,
    signed,
)


def scores(values, seed=0):
    """Of one seed: clip → values of its objects."""
    return {seed: {(clip, str(i)): value for clip, objects in values.items() for i, value in enumerate(objects)}}


def random_scores(seed, clips=30, spread=5.0):
    random = np.random.default_rng(seed)
    return scores({f"clip{c}": list(50 + spread * random.normal(size=1 + c % 3)) for c in range(clips)})


def shifted(of, by):
    return {seed: {item: value + by for item, value in values.items()} for seed, values in of.items()}


def test_equal_rows_have_an_interval_of_zero():
    row = random_scores(0)
    found = paired_bootstrap(row, row)
    assert (found.mean, found.low, found.high, found.verdict) == (0, 0, 0, UNCHANGED)


def test_a_difference_that_prints_as_zero_changes_nothing():
    assert Interval(0.02, 0.01, 0.04, 1, 9, 9).verdict == UNCHANGED
    assert Interval(0.06, 0.04, 0.07, 1, 9, 9).verdict == GAINS


def test_a_constant_shift_collapses_the_interval():
    row = random_scores(0)
    found = paired_bootstrap(shifted(row, 1.5), row)
    assert (found.mean, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert found.verdict == GAINS
    assert paired_bootstrap(row, shifted(row, 1.5)).verdict == LOSES


def test_unrelated_rows_of_one_level_are_undecided():
    found = paired_bootstrap(random_scores(1), random_scores(2))
    assert found.low < 0 < found.high
    assert found.verdict == UNDECIDED


def test_pairing_removes_what_the_rows_share():
    base = random_scores(0, spread=20.0)
    noise = random_scores(1, spread=1.0)
    row = {0: {item: value + noise[0][item] - 50 + 1 for item, value in base[0].items()}}
    found = paired_bootstrap(row, base)
    assert found.verdict == GAINS
    alone = bootstrap(row)
    assert alone.high - alone.low > 5 * (found.high - found.low)


def test_two_clips_worked_by_hand():
    # clip a gains 2 with one object, clip b gains 8 with one: a resample holds aa, ab, ba, bb, with means 2, 5, 5, 8
    found = paired_bootstrap(scores({"a": [12], "b": [18]}), scores({"a": [10], "b": [10]}))
    assert (found.mean, found.low, found.high) == (5, 2, 8)
    assert (found.seeds, found.clips, found.objects) == (1, 2, 2)


def test_fewer_than_six_clips_decide_nothing():
    gains = [{f"c{i}": [1.0] for i in range(clips)} for clips in (5, 6)]
    assert [bootstrap(scores(gain)).verdict for gain in gains] == [UNDECIDED, GAINS]


def test_of_few_clips_the_interval_is_as_wide_as_that_of_student():
    # the mean of 10 values of deviation s has a 95 % interval of ± 2.262 · s / √10
    widths, theory = [], []
    for draw in range(20):
        values = np.random.default_rng(draw).normal(size=10)
        found = bootstrap(scores({f"c{i}": [value] for i, value in enumerate(values)}))
        widths.append(found.high - found.low)
        theory.append(2 * 2.262 * values.std(ddof=1) / math.sqrt(10))
    assert np.mean(widths) == pytest.approx(np.mean(theory), rel=0.03)


def test_the_mean_is_over_objects_and_a_clip_keeps_its_objects_together():
    # three objects of one clip gain 4 each, one of another gains 0: mean 12 / 4; a resample never mixes within a clip
    found = paired_bootstrap(scores({"a": [4, 4, 4], "b": [0]}), scores({"a": [0, 0, 0], "b": [0]}))
    assert (found.mean, found.low, found.high) == (3, 0, 4)
    assert found.objects == 4


def test_objects_of_one_clip_count_as_one_observation():
    # 10 clips of 8 objects that agree within a clip are no more evidence than 10 clips of one object
    values = np.random.default_rng(0).normal(size=10)
    many = bootstrap(scores({f"c{i}": [value] * 8 for i, value in enumerate(values)}))
    few = bootstrap(scores({f"c{i}": [value] for i, value in enumerate(values)}))
    assert (many.low, many.high) == pytest.approx((few.low, few.high))


def test_the_interval_is_about_as_wide_as_theory_says():
    # the mean of 400 values of deviation 5 has a 95 % interval of ± 1.96 · 5 / 20
    values = 5 * np.random.default_rng(0).normal(size=400)
    found = bootstrap(scores({f"c{i}": [value] for i, value in enumerate(values)}))
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.04)


def test_seeds_are_resampled_too():
    # every clip of seed 0 gains 0 and of seed 1 gains 2: a resample of two seeds has the mean 0, 1 or 2
    clips = {f"c{i}": [0.0] for i in range(20)}
    base = scores(clips) | scores(clips, seed=1)
    found = paired_bootstrap(scores(clips) | shifted(scores(clips, seed=1), 2), base)
    assert (found.mean, found.low, found.high, found.seeds) == (1, 0, 2, 2)


def test_the_same_input_gives_the_same_interval_and_another_seed_another():
    a, b = random_scores(1), random_scores(2)
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b)
    assert paired_bootstrap(a, b) != paired_bootstrap(a, b, seed=1)


def test_seeds_of_only_one_row_and_objects_without_score_are_left_out():
    a = scores({"x": [1.0], "y": [3.0, math.nan]}) | scores({"x": [100.0]}, seed=1)
    found = paired_bootstrap(a, scores({"x": [0.0], "y": [0.0, 0.0]}))
    assert (found.mean, found.seeds, found.clips, found.objects) == (2, 1, 2, 2)


def test_one_clip_gives_no_interval_and_no_verdict():
    found = paired_bootstrap(scores({"x": [9.0, 8.0]}), scores({"x": [1.0, 1.0]}))
    assert found.mean == 7.5
    assert math.isnan(found.low)
    assert found.verdict == UNDECIDED
    assert str(found) == "+7.5 [no interval]"
    row = scores({"x": [9.0]})
    assert paired_bootstrap(row, row).verdict == UNDECIDED  # a mean of 0.0, too


def test_an_interval_reads_as_text():
    assert str(Interval(1.26, -0.04, 2.5, 1, 9, 9)) == "+1.3 [+0.0, +2.5]"
    assert str(Interval(1.26, 0.04, 2.5, 1, 9, 9)) == "+1.3 [+0.04, +2.5]"
    assert str(Interval(-1.26, -2.5, -0.042, 1, 9, 9)) == "-1.3 [-2.5, -0.04]"
    assert str(Interval(0.02, 0.01, 0.04, 1, 9, 9)) == "+0.0 [+0.0, +0.0]"
    assert signed(-0.06) == "-0.1"


def test_rows_that_do_not_fit_are_refused():
    a = scores({"x": [1.0], "y": [1.0]})
    with pytest.raises(ValueError, match="no common seed: one row has seeds 0, the other seeds 3; run the missing"):
        paired_bootstrap(a, scores({"x": [1.0]}, seed=3))
    with pytest.raises(ValueError, match="seed 0: only one of the rows scored object 0 of y"):
        paired_bootstrap(a, scores({"x": [1.0]}))


def test_without_any_pair_of_scores_there_is_no_interval():
    assert paired_bootstrap(scores({"x": [math.nan]}), scores({"x": [1.0]})) is None


def test_recovery_is_the_ratio_of_the_sums_of_gains():
    best = {0: {(f"c{i}", "1"): 2.0 + i for i in range(8)}}
    half = {0: {item: gain / 2 for item, gain in best[0].items()}}
    found = recovery(half, best)
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    # 1 + 5 of 2 + 6 gained
    found = recovery(scores({"a": [1.0], "b": [5.0]}), scores({"a": [2.0], "b": [6.0]}))
    assert (found.mean, found.low, found.high) == pytest.approx((6 / 8, 1 / 2, 5 / 6))


def test_recovery_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing to recover: the best gains sum up to -2"):
        recovery(scores({"a": [1.0]}), scores({"a": [-2.0]}))
    with pytest.raises(ValueError, match="gains are of different seeds or objects"):
        recovery(scores({"a": [1.0]}), scores({"a": [1.0], "b": [1.0]}))
