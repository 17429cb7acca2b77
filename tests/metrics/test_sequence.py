import math

import numpy as np
import pytest

from memvos.metrics import MEASURES, SequenceScorer, boundary_accuracy, score_sequence, summarise


def clip(*frames):
    """Label maps 16×24 of frames, each a list of (id, left column): a 6×6 square in rows 4-9."""
    labels = np.zeros((len(frames), 16, 24), dtype=np.uint8)
    for t, squares in enumerate(frames):
        for id, left in squares:
            labels[t, 4:10, left : left + 6] = id
    return labels


def test_first_and_last_frame_do_not_count():
    truth = clip([(1, 2)], [(1, 2)], [(1, 2)], [(1, 2)])
    prediction = clip([], [(1, 2)], [(1, 5)], [])
    (score,) = score_sequence(truth, prediction, "square")
    assert score.j.tolist() == [1, 18 / 54]
    assert score.f[1] == boundary_accuracy(truth[2] == 1, prediction[2] == 1)
    assert score.measures()["J"] == pytest.approx((1 + 1 / 3) / 2)


def test_an_object_the_prediction_lacks_scores_zero():
    truth = clip(*[[(1, 2), (7, 12)]] * 4)
    scores = score_sequence(truth, np.where(truth == 7, 0, truth))
    assert [(score.object, score.measures()["J&F"]) for score in scores] == [(1, 1), (7, 0)]


def test_present_only_scores_leave_out_frames_where_the_object_is_not_visible():
    # visible on one of three scored frames, where it is half found; elsewhere both masks are empty and J is 1
    truth = clip([(3, 2)], [(3, 2)], [], [], [])
    prediction = clip([(3, 2)], [(3, 4)], [], [], [])
    (score,) = score_sequence(truth, prediction)
    assert score.j.tolist() == [0.5, 1, 1]
    assert score.present.tolist() == [True, False, False]
    measures = score.measures()
    assert measures["J"] == pytest.approx(2.5 / 3)
    assert measures["J_present"] == 0.5
    assert measures["J&F_present"] == pytest.approx((0.5 + score.f[0]) / 2)
    assert measures["J_recall"] == pytest.approx(2 / 3)


def test_an_object_that_is_never_visible_has_no_present_only_score():
    truth = clip([(3, 2)], [], [], [])
    (score,) = score_sequence(truth, truth)
    assert math.isnan(score.measures()["J_present"])
    assert score.measures()["J&F"] == 1


def test_skipped_objects_and_frames_without_annotation_do_not_count():
    frame = clip([(1, 2), (2, 12)])[0]
    scorer = SequenceScorer("late", [1, 2])
    scorer.add(frame, frame, skip=[2])
    scorer.add(frame, frame, skip=[2])
    assert scorer.add(None, frame) == {}
    assert scorer.add(frame, np.where(frame == 2, 0, frame)) == {1: (1, 1), 2: (0, 0)}
    scorer.add(frame, frame)
    assert [len(score.j) for score in scorer.scores()] == [2, 1]


def test_a_row_of_objects_csv_holds_every_measure_in_order():
    truth = clip(*[[(1, 2)]] * 4)
    (score,) = score_sequence(truth, truth, "square", attributes=("occlusion", "exit"))
    row = score.as_row()
    assert tuple(row) == ("video", "object", "frames", *MEASURES, "attributes", "category")
    assert (row["video"], row["object"], row["frames"], row["attributes"]) == ("square", 1, 2, "occlusion;exit")


def test_global_scores_are_means_over_objects_not_over_sequences():
    perfect = clip(*[[(1, 2), (2, 12)]] * 4)
    lost = clip(*[[(1, 2)]] * 5)
    scores = score_sequence(perfect, perfect, "a", attributes=("exit",))
    scores += score_sequence(lost, np.zeros_like(lost), "b", attributes=("exit", "blur"))
    summary = summarise(scores)
    assert summary.scores["J&F"] == pytest.approx(2 / 3)
    assert {video: values["J"] for video, values in summary.sequences.items()} == {"a": 1, "b": 0}
    assert summary.attributes["blur"]["J&F"] == 0
    assert summary.attributes["exit"]["J&F"] == pytest.approx(2 / 3)
    assert {name: values["objects"] for name, values in summary.attributes.items()} == {"blur": 1, "exit": 3}
    assert (summary.objects, summary.frames) == (3, 2 + 3)


def test_unknown_ids_in_the_prediction_are_refused():
    truth = clip(*[[(1, 2)]] * 3)
    with pytest.raises(ValueError, match=r"car, frame 0: the prediction holds id 9, which is no object .*palette"):
        score_sequence(truth, clip(*[[(1, 2), (9, 12)]] * 3), "car")


def test_sequences_that_do_not_fit_are_refused():
    truth = clip(*[[(1, 2)]] * 3)
    with pytest.raises(
        ValueError, match=r"car: expected two label maps \(T, H, W\), got \(3, 16, 24\) and \(2, 16, 24\)"
    ):
        score_sequence(truth, truth[:2], "car")
    with pytest.raises(ValueError, match=r"car: expected object ids in 1\.\.255, got none"):
        score_sequence(np.zeros_like(truth), truth, "car")
    with pytest.raises(ValueError, match=r"expected object ids in 1\.\.255, got \(0,\)"):
        SequenceScorer("car", [0])


def test_nothing_scored_is_an_error():
    with pytest.raises(ValueError, match="no object was scored; expected at least one"):
        summarise([])
