from typing import NamedTuple

import pytest
import torch

from memvos.losses import MatchingLosses, NoAuxiliaryLoss


class Found(NamedTuple):
    coarse: torch.Tensor
    similarity: torch.Tensor | None = None
    masks: torch.Tensor | None = None


def halves() -> torch.Tensor:
    """Two objects of 8 × 8 pixels: the left half, and the right half."""
    masks = torch.zeros(1, 2, 8, 8)
    masks[0, 0, :, :4], masks[0, 1, :, 4:] = 1, 1
    return masks


VALID = torch.ones(1, 2, dtype=torch.bool)


def test_without_an_auxiliary_loss_there_is_none():
    assert NoAuxiliaryLoss()(None, halves(), VALID) == {}


def test_the_coarse_loss_by_hand():
    coarse = torch.full((1, 2, 4, 4), 0.5)
    loss = MatchingLosses(coarse=2.0, match=0)(Found(coarse), halves(), VALID)
    assert loss["coarse"].item() == pytest.approx(2 * 0.693147)
    assert list(loss) == ["coarse"]


def test_the_choice_by_hand_counts_objects_with_a_right_proposal():
    masks = halves()[:, :1].expand(1, 2, 8, 8) * torch.tensor([1.0, 0]).view(1, 2, 1, 1)  # left half, and nothing
    masks = torch.cat([masks, torch.ones(1, 1, 8, 8)], dim=1)  # and everything
    similarity = torch.tensor([[[0.2, 0.9, 0.1], [0.0, 0.0, 0.0]]])
    loss = MatchingLosses(coarse=0, match=1.0)(Found(masks[:, :2], similarity, masks), halves(), VALID)
    first = torch.nn.functional.softplus(torch.tensor(-1.0))
    second = torch.tensor(2.0).log()  # the right half: everything covers it by half
    assert loss["match"].item() == pytest.approx(((first + second) / 2).item(), abs=1e-5)


def test_slots_without_an_object_do_not_count():
    valid = torch.tensor([[True, False]])
    coarse = halves().clone()
    coarse[:, 1] = 0.5
    loss = MatchingLosses(match=0)(Found(coarse), halves(), valid)
    assert loss["coarse"].item() == pytest.approx(0.5 * 1e-4, rel=1e-2)


def test_how_a_batch_is_divided_changes_nothing():
    torch.manual_seed(0)
    found = Found(
        torch.rand(2, 2, 8, 8),
        torch.rand(2, 2, 3),
        torch.cat([halves(), torch.ones(1, 1, 8, 8)], 1).expand(2, -1, -1, -1),
    )
    masks, valid = halves().expand(2, -1, -1, -1), torch.tensor([[True, True], [True, False]])
    together = MatchingLosses()(found, masks, valid)
    alone = [
        MatchingLosses()(Found(*(part[k : k + 1] for part in found)), masks[k : k + 1], valid[k : k + 1])
        for k in (0, 1)
    ]
    for name, loss in together.items():
        assert loss.item() == pytest.approx((alone[0][name].item() + alone[1][name].item()) / 2)


def test_without_proposals_there_is_no_choice():
    loss = MatchingLosses()(Found(torch.zeros(1, 2, 8, 8)), halves(), VALID)
    assert loss["match"].item() == 0
