"""The properties of an assignment, and the numbers of the released layer."""

import pytest
import torch

from memvos.model.matching_layer import (
    BestProposal,
    DykstraSolver,
    HungarianSolver,
    ProjectionSolver,
    RowMaximum,
    SoftAssignment,
    sparsemax,
)


def everyone(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.bool)


def contest(objects: int = 3, proposals: int = 30, seed: int = 0) -> torch.Tensor:
    """Cosines from 0.3 to 0.7 with contested proposals of up to 0.9, (1, N, K) float64."""
    generator = torch.Generator().manual_seed(seed)
    similarity = torch.rand(1, objects, proposals, generator=generator, dtype=torch.float64) * 0.4 + 0.3
    similarity[0, :, 0] = 0.85
    similarity[0, :2, 1] = torch.tensor([0.9, 0.88], dtype=torch.float64)[:objects]
    return similarity


def solve(solver, similarity, objects=None, proposals=None):
    batch, rows, columns = similarity.shape
    return solver(
        similarity,
        everyone(batch, rows) if objects is None else objects,
        everyone(batch, columns) if proposals is None else proposals,
    )


def test_sparsemax_by_hand():
    torch.testing.assert_close(sparsemax(torch.tensor([0.5, 0.0])), torch.tensor([0.75, 0.25]))
    torch.testing.assert_close(sparsemax(torch.tensor([2.0, 0.0])), torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("objects", [2, 3, 5, 8])
@pytest.mark.parametrize("gamma", [4.0, 10.0, 20.0])
def test_rows_sum_to_one_and_columns_at_most_to_one(gamma, objects):
    for seed in range(5):
        weights = solve(ProjectionSolver(gamma), contest(objects, seed=seed))
        assert weights.min() >= 0
        torch.testing.assert_close(weights.sum(dim=2), torch.ones(1, objects, dtype=torch.float64), atol=1e-5, rtol=0)
        assert weights.sum(dim=1).max() <= 1 + (1e-3 if gamma <= 10 else 5e-3)


def test_a_single_object_is_a_sparsemax():
    similarity = contest(objects=1)
    torch.testing.assert_close(solve(ProjectionSolver(10.0), similarity), sparsemax(10 * similarity))


def test_a_sharp_layer_is_the_hungarian_assignment():
    for seed in range(10):
        similarity = contest(seed=seed)
        sharp = solve(ProjectionSolver(200.0, 300), similarity).argmax(dim=2)
        assert torch.equal(sharp, solve(HungarianSolver(), similarity).argmax(dim=2))


def test_the_exact_solver_equals_many_small_projected_steps():
    """A = Π(γ s): forty steps of 0.1 from an even start, each projected by 300 cycles of Dykstra, are γ = 4."""
    similarity = contest()
    weights = torch.full_like(similarity, 1 / 30)
    for _ in range(40):
        weights = project_slowly(weights + 0.1 * similarity)
    torch.testing.assert_close(solve(ProjectionSolver(4.0, 60), similarity), weights, atol=1e-6, rtol=0)


def project_slowly(weights: torch.Tensor) -> torch.Tensor:
    rows, columns = torch.zeros_like(weights), torch.zeros_like(weights)
    for _ in range(300):
        projected = sparsemax(weights + rows)
        rows = weights + rows - projected
        shifted = projected + columns
        weights = shifted - (shifted.sum(dim=1, keepdim=True) - 1).clamp(min=0) / weights.shape[1]
        columns = shifted - weights
    return weights


def test_the_gradient_is_right():
    generator = torch.Generator().manual_seed(3)
    similarity = (torch.rand(1, 2, 5, generator=generator, dtype=torch.float64) * 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: solve(ProjectionSolver(4.0, 40), s), (similarity,), atol=1e-5)


def test_the_order_of_objects_and_proposals_does_not_matter():
    similarity, rows, columns = contest(), torch.tensor([2, 0, 1]), torch.randperm(30)
    moved = solve(ProjectionSolver(), similarity[:, rows][:, :, columns])
    torch.testing.assert_close(moved, solve(ProjectionSolver(), similarity)[:, rows][:, :, columns])


def test_a_constant_added_to_a_row_changes_nothing():
    similarity = contest()
    lifted = similarity + torch.tensor([0.1, 0.0, 0.05], dtype=torch.float64).view(1, 3, 1)
    torch.testing.assert_close(solve(ProjectionSolver(10, 100), lifted), solve(ProjectionSolver(10, 100), similarity))


@pytest.mark.parametrize("solver", [ProjectionSolver(), DykstraSolver(), HungarianSolver()])
def test_without_proposals_nobody_gets_one(solver):
    weights = solve(solver, torch.zeros(2, 3, 1), proposals=torch.zeros(2, 1, dtype=torch.bool))
    assert torch.equal(weights, torch.zeros(2, 3, 1))


@pytest.mark.parametrize("solver", [ProjectionSolver(10.0, 40), HungarianSolver()])
def test_fewer_proposals_than_objects_are_given_away_once(solver):
    similarity = torch.tensor([[[0.9, 0.2], [0.5, 0.8], [0.3, 0.3]]])
    weights = solve(solver, similarity)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1, 2), atol=1e-3, rtol=0)
    torch.testing.assert_close(weights, torch.tensor([[[1.0, 0], [0, 1], [0, 0]]]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("objects", "proposals"), [(3, 1), (4, 2), (4, 4), (6, 3), (10, 4), (12, 6)])
def test_many_objects_and_few_proposals_are_solved_too(objects, proposals):
    generator = torch.Generator().manual_seed(0)
    spread = torch.rand(32, objects, proposals, generator=generator, dtype=torch.float64)
    alike = torch.rand(32, 1, proposals, generator=generator, dtype=torch.float64) * 0.2 + 0.4
    for similarity in (2 * spread - 1, alike + 0.02 * spread):  # anything, and objects that all like the same
        weights = solve(ProjectionSolver(), similarity)
        assert weights.sum(dim=1).max() <= 1.01
        torch.testing.assert_close(weights, solve(ProjectionSolver(iterations=1000), similarity), atol=0.03, rtol=0)


@pytest.mark.parametrize("solver", [ProjectionSolver(), DykstraSolver(), HungarianSolver()])
def test_empty_slots_and_filled_up_proposals_change_nothing(solver):
    similarity = contest(2, 5).float() - 0.6  # some below 0, where an empty slot's 0 would be the best
    padded = torch.nn.functional.pad(similarity, (0, 4, 0, 1))
    objects, proposals = torch.tensor([[True, True, False]]), torch.arange(9).unsqueeze(0) < 5
    expected = torch.nn.functional.pad(solve(solver, similarity), (0, 4, 0, 1))
    torch.testing.assert_close(solve(solver, padded, objects, proposals), expected)


def test_slots_without_an_object_take_nothing():
    similarity = torch.tensor([[[0.9, 0.2], [0.9, 0.1]]])
    weights = solve(ProjectionSolver(), similarity, objects=torch.tensor([[False, True]]))
    torch.testing.assert_close(weights, torch.tensor([[[0.0, 0], [1, 0]]]))


def test_proposals_that_do_not_exist_are_never_taken():
    weights = solve(ProjectionSolver(), torch.tensor([[[0.2, 0.9]]]), proposals=torch.tensor([[True, False]]))
    torch.testing.assert_close(weights, torch.tensor([[[1.0, 0.0]]]))


def test_the_released_layer_has_its_known_row_sum_and_gradient():
    """Row sums near 2.5, 1.08 for the best, and a gradient of about the step size, whatever the similarities."""
    generator = torch.Generator().manual_seed(0)
    similarity = torch.rand(1, 1, 30, generator=generator) * 0.4 + 0.3
    similarity[0, 0, 5] = 0.9
    similarity.requires_grad_()
    weights = solve(DykstraSolver().eval(), similarity)
    assert weights.sum().item() == pytest.approx(2.5, abs=0.15)
    assert weights[0, 0, 5].item() == pytest.approx(1.08, abs=0.02)
    (gradient,) = torch.autograd.grad(weights[0, 0, 5], similarity)
    assert gradient[0, 0, 5].item() == pytest.approx(0.098, abs=0.005)
    assert (weights > 0.01).all()


def test_a_soft_assignment_keeps_the_weights_and_the_best_one_takes_a_whole_proposal():
    weights = torch.tensor([[[0.6, 0.4], [0.0, 0.0]]], requires_grad=True)
    assert SoftAssignment()(weights) is weights
    best = BestProposal()(weights)
    torch.testing.assert_close(best, torch.tensor([[[1.0, 0], [0, 0]]]))
    (gradient,) = torch.autograd.grad(best[0, 0, 1], weights)
    assert gradient[0, 0].tolist() == [0, 1]


def test_row_maximum_drops_small_weights_in_training_and_all_but_one_afterwards():
    weights = torch.tensor([[[0.6, 0.39, 0.01]]])
    assert RowMaximum().train()(weights).tolist()[0][0] == pytest.approx([0.6, 0.39, 0])
    assert RowMaximum().eval()(weights).tolist()[0][0] == pytest.approx([0.6, 0, 0])
