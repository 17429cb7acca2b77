import pytest
import torch

from memvos.decode.aggregate import aggregate, put_in, to_masks, to_probabilities, winner


def pixel(*values):
    """Object probabilities (1, N, 1, 1)."""
    return torch.tensor(values).view(1, -1, 1, 1)


def test_one_object_gets_the_squared_odds():
    # p²/(p² + (1-p)²) with p = 0.8: 0.64 / 0.68
    assert to_probabilities(aggregate(pixel(0.8))).flatten().tolist() == pytest.approx([0.04 / 0.68, 0.64 / 0.68])


def test_two_objects_share_by_their_odds():
    # odds: background 0.4·0.5 = 0.2 -> 0.25, objects 0.6 -> 1.5, 0.5 -> 1; their sum is 2.75
    shares = to_probabilities(aggregate(pixel(0.6, 0.5))).flatten().tolist()
    assert shares == pytest.approx([0.25 / 2.75, 1.5 / 2.75, 1 / 2.75])


def test_certain_masks_stay_finite_and_certain():
    logits = aggregate(pixel(1.0, 0.0))
    assert torch.isfinite(logits).all()
    assert to_probabilities(logits).flatten().tolist() == pytest.approx([0, 1, 0], abs=1e-6)


def test_invalid_slots_change_nothing_and_get_nothing():
    valid = torch.tensor([[True, False]])
    with_slot = to_probabilities(aggregate(pixel(0.7, 0.9), valid)).flatten()
    without = to_probabilities(aggregate(pixel(0.7))).flatten()
    assert with_slot[:2].tolist() == pytest.approx(without.tolist())
    assert with_slot[2] == 0


def test_half_precision_is_computed_in_float32():
    logits = aggregate(torch.ones(1, 1, 1, 1, dtype=torch.bfloat16))
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_winner_is_the_argmax_and_the_first_of_equals():
    torch.manual_seed(0)
    probabilities = torch.rand(2, 5, 20, 20)
    assert torch.equal(winner(probabilities).long(), probabilities.argmax(dim=1))
    assert winner(torch.full((1, 3, 1, 1), 0.5)).item() == 0


def test_masks_are_where_an_object_wins():
    probabilities = torch.tensor([[0.4, 0.35, 0.25], [0.1, 0.2, 0.7]]).T.view(1, 3, 1, 2)  # two pixels
    assert to_masks(probabilities)[0].tolist() == [[[False, False]], [[False, True]]]


def test_gradient_passes():
    p = torch.full((1, 2, 1, 1), 0.6, requires_grad=True)
    aggregate(p)[:, 1].sum().backward()
    assert p.grad.flatten().tolist() == pytest.approx([1 / 0.24, 0], rel=1e-4)  # d logit / dp = 1 / (p (1-p))


def test_given_masks_take_their_pixels_from_the_other_objects():
    predicted = torch.tensor([[[[0.9, 0.9]], [[0.05, 0.05]], [[0.0, 0.0]]]])  # 3 objects, 1×2 pixels
    given = torch.tensor([[[[1.0, 0.0]]]])  # for the third
    joined = put_in(predicted, given, [2])
    assert joined[0, :, 0, 0].tolist() == pytest.approx([0, 0, 0, 1], abs=1e-6)
    assert joined[0, :, 0, 1].argmax() == 1


@pytest.mark.parametrize(
    ("probabilities", "valid", "message"),
    [
        (torch.zeros(1, 4, 4), None, r"expected probabilities \(B, N, H, W\), got \(1, 4, 4\)"),
        (torch.zeros(1, 2, 4, 4), torch.ones(1, 3, dtype=torch.bool), r"valid \(B, N\) = \(1, 2\), got \(1, 3\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(probabilities, valid, message):
    with pytest.raises(ValueError, match=message):
        aggregate(probabilities, valid)


@pytest.mark.parametrize("objects", range(1, 6))
def test_any_number_of_objects_follows_the_formula_of_stm(objects):
    """p_0 = Π (1 - p_o), all clamped to [1e-7, 1 - 1e-7], softmax of the log-odds."""
    given = torch.rand(2, objects, 3, 4, generator=torch.Generator().manual_seed(objects), dtype=torch.float64)
    joined = torch.cat([(1 - given).prod(dim=1, keepdim=True), given], dim=1).clamp(1e-7, 1 - 1e-7)
    torch.testing.assert_close(to_probabilities(aggregate(given.float())), joined.logit().softmax(dim=1).float())


def test_extreme_logits_are_stable():
    """One object alone at log-odds d: sigmoid(2 d), also where float32 knows only 0 and 1."""
    odds = torch.tensor([-50.0, -3.0, 0.0, 3.0, 50.0])
    shares = to_probabilities(aggregate(odds.sigmoid().view(1, 1, 1, -1)))[0, 1, 0]
    torch.testing.assert_close(shares, (2 * odds).sigmoid(), atol=1e-6, rtol=1e-4)
    assert to_probabilities(aggregate(odds.sigmoid().view(1, -1, 1, 1))).isfinite().all()
