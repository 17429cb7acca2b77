import math

import pytest
import torch

from memvos.decode.prior import DoubleSoftmaxPrior, PlainPrior


def test_plain_prior_is_the_objects_probabilities():
    probabilities = torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1)
    assert PlainPrior()(probabilities).flatten().tolist() == pytest.approx([0.5, 0.3])


def test_double_softmax_squeezes_one_object_into_27_to_73_percent():
    certain = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    high = DoubleSoftmaxPrior()(certain).item()
    low = DoubleSoftmaxPrior()(1 - certain).item()
    assert high == pytest.approx(math.e / (1 + math.e))  # 0.73
    assert low == pytest.approx(1 / (1 + math.e))  # 0.27


def test_objects_not_yet_seen_take_part_with_probability_zero():
    certain = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    assert DoubleSoftmaxPrior()(certain, objects=2).flatten().tolist() == pytest.approx([math.e / (2 + math.e)])
