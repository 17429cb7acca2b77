from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from memvos.decode.sizes import FrameSize
from memvos.lit.recall_watch import RecallWatch
from memvos.model.proposals import Proposals


class Matcher(nn.Module):
    """Proposes the box (10, 10, 20, 20) of the padded image."""

    def forward(self):
        box = Proposals.of_image(torch.tensor([[10.0, 10, 20, 20]]), torch.ones(1, 28, 28), torch.ones(1))
        return SimpleNamespace(proposals=box)


def test_true_objects_that_a_proposal_covers_are_counted():
    model, size = SimpleNamespace(matcher=Matcher()), FrameSize.fit((30, 30), 16)  # one pixel of padding at each side
    truth = np.zeros((30, 30), np.uint8)
    truth[9:19, 9:19], truth[22:28, 22:28] = 1, 2
    with RecallWatch(model) as watch:
        watch.compare(truth, [1, 2], size)  # nothing was proposed yet
        model.matcher()
        watch.compare(truth, [1, 2, 3], size)
        watch.compare(truth, [1, 2], size)  # a frame counts once
    assert (watch.covered, watch.objects) == ([1, 1], 2)


def test_models_without_proposals_have_nothing_to_count():
    with RecallWatch(SimpleNamespace()) as watch:
        watch.compare(np.ones((30, 30), np.uint8), [1], FrameSize.fit((30, 30), 16))
    assert watch.objects == 0
