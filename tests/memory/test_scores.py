import math

import pytest

from memvos.memory.scores import FrameScore, mean_quality, normalise, temporal_consistency


def test_mean_quality_averages_over_present_objects():
    assert mean_quality([0.9, 0.0, 0.6], [True, False, True]) == pytest.approx(0.75)


def test_mean_quality_over_all_keeps_zeros():
    assert mean_quality([0.9, 0.0, 0.6], [True, False, True], "all") == pytest.approx(0.5)


def test_mean_quality_over_nonzero_scores_ignores_presence():
    assert mean_quality([0.9, 0.0, 0.6], [False, True, False], "nonzero") == pytest.approx(0.75)


@pytest.mark.parametrize(("average", "quality", "present"), [("present", [0.9], [False]), ("nonzero", [0.0], [True])])
def test_mean_quality_of_nothing_is_nan(average, quality, present):
    assert math.isnan(mean_quality(quality, present, average))


def test_mean_quality_names_the_averages_it_knows():
    with pytest.raises(ValueError, match="present, all, nonzero, got 'median'"):
        mean_quality([1.0], [True], "median")


def test_normalise_divides_by_the_reference():
    assert normalise(0.6, 0.8) == pytest.approx(0.75)


@pytest.mark.parametrize("reference", [0.0, math.nan, math.inf])
def test_degenerate_reference_keeps_the_raw_score(reference):
    assert normalise(0.6, reference) == 0.6


@pytest.mark.parametrize("reference", [0.0, math.nan])
def test_degenerate_reference_can_reject_every_frame(reference):
    assert math.isnan(normalise(0.6, reference, "reject"))


def test_a_frame_with_nothing_to_see_scores_zero():
    assert normalise(math.nan, 0.8) == 0.0


def test_temporal_consistency_falls_by_e_per_step_both_ways():
    assert temporal_consistency(7, 5) == temporal_consistency(5, 7) == pytest.approx(math.exp(-2))


def test_every_object_is_referred_to_the_frame_where_it_was_given():
    score = FrameScore("present", "annotated", "present", "raw")
    score.annotate([0.8], [True], [True])
    score.annotate([0.2, 0.6], [True, True], [False, True])  # the first object was only predicted there
    assert score.of([0.7, 0.7], [True, True])[1] == pytest.approx(0.7 / 0.7)  # (0.8 + 0.6) / 2


def test_an_object_that_is_given_as_gone_keeps_its_reference():
    score = FrameScore("present", "annotated", "present", "raw")
    score.annotate([0.8, 0.4], [True, True], [True, True])
    score.annotate([0.1, 0.9], [False, True], [True, False])
    assert score.of([0.6, 0.6], [True, True])[1] == pytest.approx(0.6 / 0.6)  # (0.8 + 0.4) / 2
    score.annotate([0.6, 0.1], [True, False], [True, True])
    assert score.of([0.3, 0.3], [True, True])[1] == pytest.approx(0.3 / 0.5)  # (0.6 + 0.4) / 2


def test_first_prediction_after_an_annotation_can_be_the_reference():
    score = FrameScore("nonzero", "first_predicted", "nonzero", "reject")
    score.annotate([0.1], [True], [True])
    assert score.of([0.1], [True])[1] == 1.0
    assert score.predicted([0.5], [True])[1] == 1.0
    assert score.predicted([0.4], [True])[1] == pytest.approx(0.8)
    score.annotate([0.1, 0.1], [True, True], [False, True])
    assert score.predicted([0.2, 0.0], [True, True])[1] == 1.0
