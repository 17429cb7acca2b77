"""The matching layer: similarities of objects and proposals to an assignment. DMN-AOA §3.1, after DMM-Net.

Each object takes proposals of total weight one (rows), each proposal is given away at most once (columns). A solver
maps (B, N, K) similarities with masks of the objects and proposals that exist to (B, N, K) weights. Where proposals are
too few, an object takes the rest from an empty mask, which is worth a little less than the worst proposal.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional as F

_NEVER = -1e4


def sparsemax(scores: Tensor) -> Tensor:
    """Project scores (..., K) onto the simplex: the nearest weights that are at least 0 and sum to 1.

    The threshold below which a score gets nothing is the largest of (sum of the k best - 1) / k over k.
    """
    sums = scores.sort(dim=-1, descending=True).values.cumsum(dim=-1)
    ranks = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    return (scores - ((sums - 1) / ranks).amax(dim=-1, keepdim=True)).clamp(min=0)


class ProjectionSolver(nn.Module):
    """Project γ · similarities onto the assignments: where long projected gradient descent from an even start ends.

    Exact but for the number of iterations, differentiable, and without a look from the host. One object is a sparsemax;
    more are found by accelerated ascent on the prices of the proposals, each step a sparsemax of every row.

    Args:
        gamma: sharpness γ; a lead of 1/γ makes an assignment hard.
        iterations: of the ascent.
    """

    def __init__(self, gamma: float = 10.0, iterations: int = 48) -> None:
        super().__init__()
        self.gamma, self.iterations = gamma, iterations

    def forward(self, similarity: Tensor, objects: Tensor, proposals: Tensor) -> Tensor:
        """Return the assignment (B, N, K), in float32 or better.

        Args:
            similarity: (B, N, K) in [-1, 1].
            objects: (B, N) bool, rows that count; the others are zero.
            proposals: (B, K) bool, columns that count; the others are zero.
        """
        with torch.autocast(similarity.device.type, enabled=False):
            scores = self.gamma * _with_empty(similarity, objects, proposals, 1 / self.gamma)
            rows = objects.unsqueeze(2)
            if similarity.shape[1] > 1:
                scores = scores - self._prices(scores, rows)
            weights = sparsemax(scores) * rows
        return weights[:, :, : similarity.shape[2]] * proposals.unsqueeze(1)

    def _prices(self, scores: Tensor, rows: Tensor) -> Tensor:
        """Prices (B, 1, K + N) at least 0 of columns, at which none is given away more than once.

        A step is as long as the number of objects that took of a column allows: their sparsemaxes change by at most one
        each when its price does. Those that let go of it may come back, so the most there ever were count. Nesterov's
        momentum starts anew, clip by clip, where it points away from the ascent.
        """
        counted = rows.to(scores.dtype).transpose(1, 2)  # (B, 1, N)
        price = ahead = torch.zeros_like(scores[:, :1])
        since = torch.zeros_like(scores[:, :1, :1])  # steps since the momentum started
        takers = torch.ones_like(price)
        for _ in range(self.iterations):
            weights = sparsemax(scores - ahead)
            takers = torch.maximum(takers, counted @ (weights > 0).to(scores.dtype))
            raised = F.relu(ahead + (counted @ weights - 1) / takers)
            moved = raised - price
            since = since * ((ahead - raised) @ moved.transpose(1, 2) <= 0)
            ahead = torch.addcmul(raised, since / (since + 3), moved)
            price, since = raised, since + 1
        return price


class DykstraSolver(nn.Module):
    """The layer as DMM-Net released it, quirks included, for study: steps of 0.1 from a greedy start, each followed by
    cycles of Dykstra's projections whose corrections are never reset, and the mean of the iterates before projection.

    Its rows sum to about 2.4, and its gradient is little more than the step size (reference values in the tests).

    Args:
        steps: descents outside training (eval.yaml: 40) and `train_steps` while training (train.yaml: 10).
        train_steps: see above.
        cycles: of projections after each step (5).
        step: size of a descent (0.1).
    """

    def __init__(self, steps: int = 40, train_steps: int = 10, cycles: int = 5, step: float = 0.1) -> None:
        super().__init__()
        self.steps, self.train_steps, self.cycles, self.step = steps, train_steps, cycles, step

    def forward(self, similarity: Tensor, objects: Tensor, proposals: Tensor) -> Tensor:
        """Return the mean iterate (B, N, K); arguments as for `ProjectionSolver`."""
        count = similarity.shape[2]
        with torch.autocast(similarity.device.type, enabled=False):
            there = objects.unsqueeze(2) & self._columns_of(objects, proposals).unsqueeze(1)
            scores = F.pad(similarity.float(), (0, there.shape[2] - count)) * there
            current = greedy(scores.masked_fill(~there, _NEVER)) * there
            corrections = [torch.zeros_like(scores) for _ in range(3)]
            history = [current]
            for _ in range(self.train_steps if self.training else self.steps):
                current = (current + self.step * scores) * there
                history.append(current)
                current = self._projected(current, corrections, there)
            mean = torch.stack(history).mean(dim=0)
        return mean[:, :, :count]

    @staticmethod
    def _columns_of(objects: Tensor, proposals: Tensor) -> Tensor:
        """Columns that count, (B, K + N + 1): proposals, and empty masks, worth 0, up to one more than objects."""
        lacking = objects.sum(dim=1, keepdim=True) + 1 - proposals.sum(dim=1, keepdim=True)
        empty = torch.arange(objects.shape[1] + 1, device=objects.device) < lacking
        return torch.cat([proposals, empty], dim=1)

    def _projected(self, current: Tensor, corrections: list[Tensor], there: Tensor) -> Tensor:
        sets = (self._positive, self._at_most_once, self._once)
        for _ in range(self.cycles):
            for place, project in enumerate(sets):
                shifted = current + corrections[place]
                current = project(shifted, there) * there
                corrections[place] = shifted - current
        return current

    @staticmethod
    def _positive(weights: Tensor, there: Tensor) -> Tensor:
        return weights.clamp(min=0)

    @staticmethod
    def _at_most_once(weights: Tensor, there: Tensor) -> Tensor:
        over = (weights.sum(dim=1, keepdim=True) - 1).clamp(min=0)
        return weights - over / there.sum(dim=1, keepdim=True).clamp(min=1)

    @staticmethod
    def _once(weights: Tensor, there: Tensor) -> Tensor:
        return weights - (weights.sum(dim=2, keepdim=True) - 1) / there.sum(dim=2, keepdim=True).clamp(min=1)


def greedy(scores: Tensor) -> Tensor:
    """DMM-Net's start: a proposal is kept by the object it suits best, an object takes the best of what it kept."""
    best = scores == scores.amax(dim=1, keepdim=True)
    kept = scores.masked_fill(~best, _NEVER)
    chosen = F.one_hot(kept.argmax(dim=2), scores.shape[2]).to(scores.dtype)
    return chosen * best


class HungarianSolver(nn.Module):
    """The best one-to-one assignment, on the host and without gradient; for tests and evaluation."""

    def forward(self, similarity: Tensor, objects: Tensor, proposals: Tensor) -> Tensor:
        """Return the assignment (B, N, K) of 0 and 1; arguments as for `ProjectionSolver`."""
        scores = _with_empty(similarity, objects, proposals, 1.0).detach().cpu()
        weights = torch.zeros_like(scores)
        for clip, there in enumerate(objects.cpu()):
            rows = there.nonzero().squeeze(1)
            places, columns = linear_sum_assignment(scores[clip, rows].numpy(), maximize=True)
            weights[clip, rows[places], torch.as_tensor(columns)] = 1
        return weights[:, :, : similarity.shape[2]].to(similarity.device) * proposals.unsqueeze(1)


def _with_empty(similarity: Tensor, objects: Tensor, proposals: Tensor, less: float) -> Tensor:
    """Similarities without proposals that do not exist, and one empty mask for every object: (B, N, K + N).

    The empty mask is worth `less` less than the worst proposal, so that it is taken only where there are too few.
    """
    scores = similarity if similarity.dtype == torch.float64 else similarity.float()
    counted = objects.unsqueeze(2) & proposals.unsqueeze(1)
    worst = scores.detach().masked_fill(~counted, 1.0).flatten(1).amin(dim=1) - less
    empty = worst.view(-1, 1, 1).expand(-1, scores.shape[1], scores.shape[1])
    return torch.cat([scores.masked_fill(~proposals.unsqueeze(1), _NEVER), empty], dim=2)


class SoftAssignment(nn.Module):
    """Masks are summed by the weights (the paper's words)."""

    def forward(self, weights: Tensor) -> Tensor:
        """Weights (B, N, K) as they are."""
        return weights


class BestProposal(nn.Module):
    """Each object takes the proposal of the largest weight, whole; the gradient is that of the soft assignment."""

    def forward(self, weights: Tensor) -> Tensor:
        """Weights (B, N, K) → 0 and 1, at most one 1 a row, none where all weights are 0."""
        best = F.one_hot(weights.argmax(dim=2), weights.shape[2]).to(weights.dtype) * (weights > 0)
        return best + weights - weights.detach()


class RowMaximum(nn.Module):
    """As DMM-Net: small weights dropped while training, all but the largest of a row otherwise.

    The largest is looked for among the proposals. DMM-Net looks among the empty masks, too, that it adds where there
    are no more proposals than objects; an object may then keep nothing there.

    Args:
        least: weights up to this are dropped while training.
    """

    def __init__(self, least: float = 0.01) -> None:
        super().__init__()
        self.least = least

    def forward(self, weights: Tensor) -> Tensor:
        """Weights (B, N, K) → some of them."""
        kept = weights > self.least if self.training else weights == weights.amax(dim=2, keepdim=True)
        return weights * kept
