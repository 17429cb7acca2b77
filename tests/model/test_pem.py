import math

import pytest
import torch
from torch import nn

from memvos.model.pem import NoPrior, StrongPrior, WeakPrior, merge_objects


def test_no_prior_returns_the_feature_itself():
    feature = torch.randn(1, 4, 2, 2)
    assert NoPrior()(feature, torch.rand(1, 1, 32, 32)) is feature


def test_a_constant_gate_scales_the_feature_by_hand():
    prior = WeakPrior(4)
    nn.init.zeros_(prior.gate.weight)
    nn.init.constant_(prior.gate.bias, math.log(3))  # sigmoid(log 3) = 3/4
    feature = torch.full((1, 4, 2, 2), 8.0)
    torch.testing.assert_close(prior(feature, torch.rand(1, 1, 32, 32)), torch.full((1, 4, 2, 2), 6.0))


def test_the_gate_reads_the_previous_mask_where_it_is():
    prior = WeakPrior(2)
    nn.init.zeros_(prior.gate.weight)
    nn.init.zeros_(prior.gate.bias)
    with torch.no_grad():
        prior.gate.weight[0, 2, 1, 1] = math.log(3)  # last channel: the mask; centre of the 3 × 3
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32, :32] = 1
    enhanced = prior(torch.ones(1, 2, 4, 4), mask)
    assert enhanced[0, 0, 0, 0].item() == pytest.approx(0.75)
    assert enhanced[0, 1, 3, 3].item() == pytest.approx(0.5)


def test_the_published_weak_prior_has_9226_parameters():
    assert sum(p.numel() for p in WeakPrior(1024).parameters()) == 9226


@pytest.mark.parametrize(("reduction", "grid"), [(2, 2), (1, 4)])
def test_the_strong_prior_adds_to_the_feature_on_its_grid(reduction, grid):
    prior = StrongPrior(6, 5, reduction)
    feature = torch.randn(1, 6, grid, grid)
    assert prior(feature, torch.rand(1, 1, 32, 32), torch.randn(1, 5, 4, 4)).shape == feature.shape
    nn.init.zeros_(prior.reduce.weight)
    nn.init.zeros_(prior.reduce.bias)
    assert torch.equal(prior(feature, torch.rand(1, 1, 32, 32), torch.randn(1, 5, 4, 4)), feature)


def test_the_strong_prior_depends_on_mask_and_middle_feature():
    torch.manual_seed(0)
    prior, feature, mask, middle = (
        StrongPrior(6, 5),
        torch.randn(1, 6, 2, 2),
        torch.rand(1, 1, 32, 32),
        torch.rand(1, 5, 4, 4),
    )
    assert not torch.equal(prior(feature, mask, middle), prior(feature, 1 - mask, middle))
    assert not torch.equal(prior(feature, mask, middle), prior(feature, mask, middle + 1))


def test_a_mask_per_object_is_refused():
    for prior in (WeakPrior(4), StrongPrior(4, 4)):
        with pytest.raises(ValueError, match=r"expected a previous mask \(B, 1, H, W\), got \(1, 2, 32, 32\); merge"):
            prior(torch.zeros(1, 4, 2, 2), torch.zeros(1, 2, 32, 32), torch.zeros(1, 4, 4, 4))


def test_the_strong_prior_asks_for_the_middle_feature():
    with pytest.raises(ValueError, match=r"expected the middle feature f8 .* got None"):
        StrongPrior(4, 4)(torch.zeros(1, 4, 2, 2), torch.zeros(1, 1, 32, 32))


def test_objects_merge_to_their_largest_probability_without_gradient():
    previous = torch.tensor([0.2, 0.7, 0.1]).view(1, 3, 1, 1).requires_grad_()
    merged = merge_objects(previous)
    assert merged.flatten().tolist() == pytest.approx([0.7])
    assert not merged.requires_grad
