import pytest
import torch

from memvos.losses import QualityLoss, mask_iou


def test_mask_iou_thresholds_the_prediction_at_one_half():
    prediction = torch.tensor([[[0.9, 0.6, 0.4, 0.5]]])
    truth = torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])
    assert mask_iou(prediction, truth).tolist() == [pytest.approx(1 / 3)]  # {0} of {0, 1, 2}


def test_two_empty_masks_give_zero_unless_told_otherwise():
    nothing = torch.zeros(2, 1, 4, 4)
    assert mask_iou(nothing, nothing).tolist() == [[0.0], [0.0]]
    assert mask_iou(nothing, nothing, empty=1.0).tolist() == [[1.0], [1.0]]


def test_a_missed_object_gives_zero_whatever_empty_says():
    assert mask_iou(torch.zeros(1, 4, 4), torch.ones(1, 4, 4), empty=1.0).item() == 0.0


def test_released_counting_takes_only_full_pixels_into_the_intersection():
    prediction = torch.tensor([[[0.9, 0.9, 0.1]]])
    truth = torch.tensor([[[1.0, 0.75, 0.0]]])
    assert mask_iou(prediction, truth).item() == pytest.approx(1.0)
    # intersection 1, areas 2 and 1.75, union 2.75
    assert mask_iou(prediction, truth, soft_truth=True).item() == pytest.approx(1 / 2.75)


def test_the_target_carries_no_gradient():
    prediction = torch.rand(1, 1, 4, 4, requires_grad=True)
    assert not QualityLoss().target(prediction, torch.ones(1, 1, 4, 4)).requires_grad


def test_masks_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"masks of one shape, got \(1, 4, 4\) and \(1, 2, 2\)"):
        mask_iou(torch.zeros(1, 4, 4), torch.zeros(1, 2, 2))


SCORES = torch.tensor([[0.9, 0.3], [0.5, 0.8]])
TARGET = torch.tensor([[0.5, 0.7], [0.6, 0.0]])
VALID = torch.tensor([[True, True], [True, False]])


def test_equation_two_averages_over_the_objects_that_exist():
    # clip 0: (0.4² + 0.4²) / 2 = 0.16; clip 1: 0.1² over its one object = 0.01
    assert QualityLoss()(SCORES, TARGET, VALID).item() == pytest.approx((0.16 + 0.01) / 2)


def test_the_released_loss_is_the_error_of_the_mean_over_slots():
    # clip 0: errors 0.4 and -0.4 cancel; clip 1: ((0.5 + 0.8) / 2 - (0.6 + 0) / 2)² = 0.35²
    assert QualityLoss(average="slots")(SCORES, TARGET, VALID).item() == pytest.approx(0.35**2 / 2)


def test_a_batch_without_objects_costs_nothing():
    assert QualityLoss()(SCORES, TARGET, torch.zeros_like(VALID)).item() == 0.0


def test_an_unknown_average_is_refused():
    with pytest.raises(ValueError, match=r"'objects' \(Eq. 2\) or 'slots' \(as released\), got 'clips'"):
        QualityLoss(average="clips")


def test_an_empty_value_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"IoU of two empty masks, in \[0, 1\], got 2"):
        QualityLoss(empty=2)


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"one shape \(B, N\), got \[\(2, 1\), \(2, 2\), \(2, 2\)\]"):
        QualityLoss()(SCORES[:, :1], TARGET, VALID)
