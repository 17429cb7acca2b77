"""DMN-AOA learns: a training step through every part, with a slot that holds no object and an object that vanishes."""

from functools import partial

import pytest
import torch

from memvos.data.clip import ClipBatch
from memvos.lit.unroll import unroll
from memvos.losses import BootstrappedCrossEntropy, MatchingLosses
from memvos.model.aoa import AdaptiveAlignment, MeanCosine
from memvos.model.backbone import ResNet
from memvos.model.dmn import DynamicMemory
from memvos.model.dmn_aoa import DMNAOA
from memvos.model.matcher import AlignedMatcher
from memvos.model.matching_layer import BestProposal, ProjectionSolver, SoftAssignment
from memvos.model.memory_read import MemoryRead
from memvos.model.proposals import Proposals
from memvos.model.qam import AcceptAll
from memvos.model.refine_net import RefineNet

SIZE, HALF = 64, 32
CORNERS = torch.tensor([[0.0, 0], [HALF, 0], [0, HALF], [HALF, HALF]])


def quarters(image, place):
    """A source that proposes the quarters of the image."""
    boxes = torch.cat([CORNERS, CORNERS + HALF], dim=1)
    return Proposals.join([Proposals.of_image(boxes, torch.ones(4, 28, 28), torch.ones(4))] * len(image))


@pytest.fixture
def batch() -> ClipBatch:
    """Two clips of four frames: two quarters, of which one vanishes in frame 2; one quarter and an empty slot."""
    torch.manual_seed(1)
    masks = torch.zeros(2, 4, 2, SIZE, SIZE)
    masks[:, :, 0, :HALF, :HALF] = 1
    masks[0, :2, 1, HALF:, HALF:] = 1
    valid = torch.tensor([[True, True], [True, False]])
    times = torch.tensor([[0, 3, 5, 9], [0, 1, 2, 3]])
    return ClipBatch(torch.randn(2, 4, 3, SIZE, SIZE), masks, valid, times=times)


def network(assignment) -> DMNAOA:
    torch.manual_seed(0)
    matcher = partial(
        AlignedMatcher,
        alignment=AdaptiveAlignment(),
        similarity=MeanCosine(),
        solver=ProjectionSolver(),
        assignment=assignment,
        shared_channels=16,
    )
    return DMNAOA(
        backbone=partial(ResNet, 18, width=8),
        proposals=quarters,
        template=DynamicMemory,
        matcher=matcher,
        refine=partial(RefineNet, width=16),
        quality=AcceptAll,
        read=MemoryRead(),
        level_channels=(8, 8, 16),
        channels=32,
        grid=6,
    ).train()


def loss_of(net: DMNAOA, batch: ClipBatch) -> torch.Tensor:
    """As a training of this paper sums it: masks, coarse masks, choices."""
    of_masks, of_match = BootstrappedCrossEntropy(keep=1.0), MatchingLosses()
    total = torch.zeros(())
    for frame in unroll(net, batch, score_last=False):
        total = total + of_masks(frame.logits, batch.labels[:, frame.time], 0)
        total = total + sum(of_match(frame.found, batch.masks[:, frame.time], batch.valid).values())
    return total


@pytest.mark.parametrize("assignment", [SoftAssignment(), BestProposal()])
def test_a_step_gives_every_trained_weight_a_finite_gradient(batch, assignment):
    net = network(assignment)
    loss = loss_of(net, batch)
    assert loss.isfinite()
    loss.backward()
    trained = {name: weight.grad for name, weight in net.named_parameters() if weight.requires_grad}
    assert all(gradient.isfinite().all() for gradient in trained.values())
    assert not [name for name, gradient in trained.items() if not gradient.any()]


def test_a_few_steps_lower_the_loss(batch):
    net = network(SoftAssignment())
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        torch.manual_seed(0)  # of the boxes' jitter
        losses.append(loss_of(net, batch))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
