import numpy as np
import pytest
import torch

from memvos.decode.gate import OracleQuality, PredictedQuality, true_masks
from memvos.decode.propagate import Segmenter
from memvos.decode.sizes import FrameSize
from memvos.model.interface import MemoryFrame

SIZE = (16, 16)
BOX = (4, 12, 4, 12)
EVERY = {"every": 1, "sigma": 0.8, "beta": None}


def labels(*box):
    """A label map with object 1 in the box."""
    drawn = np.zeros(SIZE, np.uint8)
    drawn[box[0] : box[1], box[2] : box[3]] = 1
    return drawn


def test_predicted_quality_is_the_models_score_and_empty_masks_are_not_present():
    masks = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    masks[0, 0, 1, 1] = True
    record = MemoryFrame(torch.zeros(1, 1, 1, 1, 1), torch.zeros(1, 2, 1, 1, 1), torch.tensor([[0.9, 0.4]]))
    scores = PredictedQuality()(record, masks, None)
    assert scores.quality.tolist() == [[pytest.approx(0.9), pytest.approx(0.4)]]
    assert scores.present.tolist() == [[True, False]]


def test_oracle_quality_is_the_iou_and_counts_objects_missed_or_imagined():
    masks = torch.tensor([[[[1, 1, 0, 0]], [[0, 0, 0, 0]], [[0, 0, 0, 1]], [[0, 0, 0, 0]]]], dtype=torch.bool)
    truth = torch.tensor([[[[0, 1, 1, 0]], [[0, 0, 0, 1]], [[0, 0, 0, 0]], [[0, 0, 0, 0]]]], dtype=torch.bool)
    scores = OracleQuality()(None, masks, truth)
    assert scores.quality.tolist() == [[pytest.approx(1 / 3), 0, 0, 0]]
    assert scores.present.tolist() == [[True, True, True, False]]


def test_true_masks_follow_the_order_of_ids_and_the_models_size():
    truth = np.array([[0, 5], [5, 2]], np.uint8)
    masks = true_masks(truth, [5, 9, 2], FrameSize.fit((2, 2), 4), torch.device("cpu"))
    assert masks[0].int().tolist() == [[[0, 1], [1, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 1]]]


def test_oracle_gate_stores_exactly_the_frames_above_the_threshold(painted, paint):
    stepper = Segmenter(painted, EVERY, device="cpu", precision="float32", gate=OracleQuality())
    shifts = [0, 0, 1, 2, 0, 3, 0]  # the truth moves away from the prediction by 0 … 3 of 8 columns
    stored = []
    for shift in shifts:
        truth = labels(4, 12, 4 + shift, 12 + shift)
        step = stepper.step(paint(SIZE, {0: BOX}, quality=0.01), labels(*BOX) if not stored else None, truth=truth)
        stored.append(step.stored)
        if len(stored) > 1:
            assert step.decision.score == pytest.approx((8 - shift) / (8 + shift))
    # IoU of a shift by 1: 7/9 = 0.78
    assert stored == [True, True, False, False, True, False, True]


def test_oracle_truth_can_come_from_a_function_of_the_frames_index(painted, paint):
    truth = {1: labels(4, 12, 8, 16), 2: labels(*BOX)}
    stepper = Segmenter(painted, EVERY, device="cpu", precision="float32", gate=OracleQuality(truth.get))
    stepper.step(paint(SIZE, {0: BOX}), labels(*BOX))
    assert [stepper.step(paint(SIZE, {0: BOX})).stored for _ in range(3)] == [False, True, False]


@pytest.mark.parametrize("reference", ["annotated", "first_predicted"])
@pytest.mark.parametrize(("retry", "stored"), [(True, [0, 4, 7]), (False, [0, 6])])
def test_a_frame_without_truth_is_not_stored_and_the_next_one_is_tried(painted, paint, reference, retry, stored):
    rule = {"every": 3, "sigma": 0.8, "beta": None, "retry": retry, "reference": reference, "degenerate": "reject"}
    stepper = Segmenter(painted, rule, device="cpu", precision="float32", gate=OracleQuality())
    steps = []
    for time in range(9):
        truth = labels(*BOX) if time in (4, 6, 7) else None
        steps.append(stepper.step(paint(SIZE, {0: BOX}), None if time else labels(*BOX), truth=truth))
    assert [step.time for step in steps if step.stored] == stored


def test_truth_decides_what_is_stored_but_never_reaches_the_model(nearest, clip):
    frames, truth = clip(12, 32, 40)
    open_gate = {"every": 2, "sigma": None, "beta": None}
    oracle = Segmenter(nearest, open_gate, device="cpu", precision="float32", gate=OracleQuality())
    plain = Segmenter(nearest, open_gate, device="cpu", precision="float32")
    for time, frame in enumerate(frames):
        given = truth[0] if time == 0 else None
        mine, other = oracle.step(frame, given, truth=truth[time]), plain.step(frame, given)
        assert np.array_equal(mine.probabilities[1], other.probabilities[1])
        assert mine.quality == other.quality  # what is put out is the model's own score


def test_truth_of_another_size_is_refused(painted, paint):
    stepper = Segmenter(painted, EVERY, device="cpu", precision="float32", gate=OracleQuality())
    with pytest.raises(ValueError, match="the true labels in the size of the frame, 16×16 pixels, got 4×4"):
        stepper.step(paint(SIZE, {0: BOX}), labels(*BOX), truth=np.zeros((4, 4), np.uint8))


def test_of_an_annotation_only_the_objects_given_count(painted, paint):
    other = (0, 3, 0, 3)
    stepper = Segmenter(painted, EVERY, device="cpu", precision="float32", gate=OracleQuality())
    stepper.step(paint(SIZE, {0: BOX}), labels(*BOX), truth=labels(*BOX))
    added = labels(*other) * 2
    step = stepper.step(paint(SIZE, {0: BOX, 1: other}), added)  # the truth of object 1 is not known here
    assert step.decision.score == pytest.approx(1.0)
