"""On a device, the matcher never waits for it: every step is taken without looking at a value."""

import pytest
import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from memvos.model.aoa import AdaptiveAlignment, MeanCosine
from memvos.model.interface import Place, Query
from memvos.model.matcher import AlignedMatcher, Targets
from memvos.model.matching_layer import DykstraSolver, HungarianSolver, ProjectionSolver, SoftAssignment
from memvos.model.proposals import Proposals
from memvos.model.regions import RegionFeatures

SOLVERS = [ProjectionSolver, DykstraSolver]


class OnDevice(TorchDispatchMode):
    """Counts operations, and refuses those that bring a tensor to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.count += 1
        hosted = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor) and leaf.device.type == "cpu"]
        assert not hosted, f"{func} gives a tensor on the host"
        return result


def contest(batch: int = 2, objects: int = 3, proposals: int = 30) -> tuple[torch.Tensor, ...]:
    """Similarities, objects and proposals without values, on a device that need not be there."""
    shapes = ((batch, objects, proposals), (batch, objects), (batch, proposals))
    types = (torch.float32, torch.bool, torch.bool)
    return tuple(torch.empty(shape, dtype=dtype, device="cuda") for shape, dtype in zip(shapes, types, strict=True))


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_matching_layer_never_waits_for_the_device(solver):
    with FakeTensorMode(), OnDevice():
        assert solver().eval()(*contest()).shape == (2, 3, 30)


def test_the_hungarian_solver_does_wait():
    with FakeTensorMode(), pytest.raises((AssertionError, DynamicOutputShapeException)), OnDevice():
        HungarianSolver()(*contest())


@pytest.mark.parametrize("solver", SOLVERS)
def test_from_templates_to_coarse_masks_nothing_waits_for_the_device(solver):
    with FakeTensorMode(), torch.device("cuda"):
        matcher = AlignedMatcher(32, AdaptiveAlignment(), MeanCosine(), solver(), SoftAssignment(), 16, iou_weight=0.3)
        regions = RegionFeatures((8, 16), 32, 6)
        levels = torch.empty(1, 8, 16, 16), torch.empty(1, 16, 8, 8)
        query = Query(torch.empty(1, 3, 64, 64), lambda image: levels, Place())
        proposals = Proposals(torch.empty(1, 5, 4), torch.empty(1, 5, 28, 28), torch.empty(1, 5), everyone(1, 5))
        targets = Targets(torch.empty(1, 2, 32, 6, 6), torch.empty(1, 2, 4), everyone(1, 2), torch.empty(1, 2, 64, 64))
        with torch.no_grad(), OnDevice():
            match = matcher.eval()(targets, query, regions, lambda image, place: proposals, (16, 16))
    assert match.coarse.shape == (1, 2, 16, 16)


def everyone(*shape: int) -> torch.Tensor:
    return torch.empty(*shape, dtype=torch.bool)
