"""The released QDMN's recorded outputs, frame by frame, from weights that are regenerated from their names.

The frames read are prescribed here, so that the network is tested without the bank; tests/decode tests both together.
"""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from memvos.data.clip import normalise
from memvos.decode.aggregate import aggregate, to_probabilities
from memvos.model.checkpoints import load_checkpoint
from memvos.model.interface import Memory
from memvos.model.memory_read import Kernel, Softmax, TopK, Weights

pytestmark = [pytest.mark.shared, pytest.mark.slow]
ROUNDING = 3e-5  # of the logits, in float32; what is closer is a tie that the recording may have read either way


class NearTies(torch.nn.Module):
    """Top-k whose choice between the k-th and the next position can be turned round where their logits nearly tie."""

    def __init__(self, k):
        super().__init__()
        self.k, self.swap, self.gap = k, False, 0.0

    def forward(self, logits, grid):
        values, places = logits.topk(self.k + 1, dim=-1)
        gaps = (values[..., self.k - 1] - values[..., self.k]).flatten()
        self.gap = gaps.min().item()
        if self.swap and self.gap < ROUNDING:
            row = places.flatten(0, -2)[gaps.argmin()]
            row[self.k - 1 :] = row[self.k - 1 :].flip(0)
        places = places[..., : self.k].contiguous()
        return Weights(logits.gather(-1, places).softmax(dim=-1), places)


@pytest.fixture(scope="module")
def released(regenerate, tmp_path_factory):
    """The released network, through the importer of its checkpoint."""
    path = tmp_path_factory.mktemp("released") / "s012.pth"
    torch.save(regenerate("qdmn"), path)
    model, report, _ = load_checkpoint("qdmn", path)
    path.unlink()
    assert (len(report.matched), report.missing, report.unexpected) == (690, (), ())
    return model.to(memory_format=torch.channels_last)


def replay(model, clip):
    """Segment a recorded clip; yields (frame, greatest difference of probabilities, share of equal labels, scores)."""
    meta, recorded = json.loads(str(clip["meta"])), torch.from_numpy(clip["prob"][:, :, 0])
    images = F.pad(normalise(torch.from_numpy(clip["frames"])), meta["pad"])
    frames = images.to(next(model.parameters()).dtype, memory_format=torch.channels_last)
    first = torch.from_numpy(clip["first_mask"])
    masks = torch.stack([(first == n).to(frames.dtype) for n in range(1, len(recorded))]).unsqueeze(0)
    previous = to_probabilities(aggregate(F.pad(masks, meta["pad"])))[:, 1:]
    left, _, top, _ = meta["pad"]
    height, width = first.shape
    records = {0: model.memorize(model.query(frames[:1]), previous)}
    for time in range(1, len(frames)):
        query = model.query(frames[time : time + 1])
        memory = Memory.stack([records[read] for read in meta["reads"][time - 1]])

        def segment(query=query, memory=memory, previous=previous, time=time):
            found = to_probabilities(aggregate(model.segment(query, memory, previous).sigmoid()))
            return found, (found[0] - recorded[:, time]).abs().max().item()

        found, difference = segment()
        if difference > 2e-4 and isinstance(model.read.selection, NearTies):
            assert model.read.selection.gap < ROUNDING
            model.read.selection.swap = True
            found, difference = segment()
            model.read.selection.swap = False
        previous = found[:, 1:]
        labels = found[0].argmax(dim=0)[top : top + height, left : left + width].numpy()
        scores = None
        if time < len(frames) - 1:
            records[time] = model.memorize(query, previous)
            scores = np.abs(records[time].quality[0].numpy() - clip["scores"][time]).max()
        yield time, difference, (labels == clip["masks"][time]).mean(), scores


@pytest.mark.parametrize(("scenario", "selection"), [("notop", Softmax()), ("km_notop", Kernel(5.6))])
def test_every_frame_equals_the_released_networks(shared, released, scenario, selection):
    released.read.selection = selection
    compare(released, np.load(shared / "parity" / "qdmn" / f"{scenario}.npz"))


@pytest.mark.parametrize("scenario", ["single", "three"])
def test_with_top_k_every_frame_equals_the_released_networks_but_for_ties(shared, released, in_float64, scenario):
    released.double().read.selection = NearTies(50)
    try:
        compare(released, np.load(shared / "parity" / "qdmn" / f"{scenario}.npz"))
    finally:
        released.to(torch.float32)


def compare(model, clip):
    """The tolerances of the recording."""
    with torch.inference_mode():
        for time, difference, agreement, scores in replay(model, clip):
            assert difference <= 2e-4, f"frame {time}"
            assert agreement >= 0.9995, f"frame {time}"
            assert scores is None or scores <= 1e-4, f"frame {time}"


def test_with_the_shipped_top_k_the_frames_before_any_tie_equal_the_released_networks(shared, released):
    released.read.selection = TopK(50)
    clip = np.load(shared / "parity" / "qdmn" / "three.npz")
    with torch.inference_mode():
        for time, difference, _, _ in replay(released, clip):
            assert difference <= 1e-4, f"frame {time}"
            if time == 3:
                return
