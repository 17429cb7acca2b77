"""The released networks through the stepper: recorded probabilities, scores and memory reads."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from memvos.decode.gate import PredictedQuality, Scores
from memvos.decode.prior import DoubleSoftmaxPrior
from memvos.decode.propagate import Segmenter
from memvos.decode.settings import bank_options
from memvos.model.backbone import ResNet
from memvos.model.layouts import QDMN_RELEASED
from memvos.model.memory_read import Kernel, MemoryRead, Softmax, TopK
from memvos.model.pem import WeakPrior
from memvos.model.qam import QualityHead
from memvos.model.qdmn import QDMN

pytestmark = [pytest.mark.shared, pytest.mark.slow]
ROUNDING = 3e-5  # of the logits, in float32


@pytest.fixture(scope="module")
def released(regenerate):
    """The released QDMN with its regenerated weights."""
    weights = regenerate("qdmn")
    backbone = partial(ResNet, depth=50, conv_bias=True)
    quality = partial(QualityHead, activations=("relu", "relu"))
    model = QDMN(backbone, WeakPrior, quality, MemoryRead(Softmax()))
    model.load_state_dict({QDMN_RELEASED.ours(name): tensor for name, tensor in weights.items()})
    return model


@pytest.fixture
def released_in_float64(released, in_float64):
    """The same network in float64."""
    yield released.double()
    released.to(torch.float32)


class ScriptedQuality(PredictedQuality):
    """Scores read from a script {frame: scores per object}."""

    def __init__(self, script):
        self.script = script

    def __call__(self, record, masks, truth):
        quality = torch.tensor([self.script[str(record.time)]])
        return Scores(quality, torch.ones_like(quality, dtype=torch.bool))


class WatchedTopK(TopK):
    """Top-k that notes the gap between the k-th and the next logit, the smallest of each read."""

    def __init__(self, k):
        super().__init__(k)
        self.gaps = []

    def forward(self, logits, grid):
        best = logits.topk(min(self.k + 1, logits.shape[-1]), dim=-1).values
        self.gaps.append((best[..., self.k - 1] - best[..., -1]).min().item())
        return super().forward(logits, grid)


def segmenter(model, meta, preset, **more):
    """The stepper with a scenario's settings."""
    every = Kernel(meta["km"]) if "km" in meta else Softmax()
    model.read.selection = every if meta.get("top_k", 50) is None else WatchedTopK(50)
    options = {**bank_options(preset), "every": meta["mem_freq"]}
    if "memory_thr" in meta:
        options["beta"] = meta["memory_thr"]
    return Segmenter(model, options, device="cpu", precision="float32", **more)


def play(stepper, clip, masks_at):
    """Run a clip; per frame: padded probabilities (K+1, H, W), label map, scores; and, from frame 1, the reads."""
    probabilities, labels, scores, reads = [], [], [], []
    frames = clip["frames"]
    for time, frame in enumerate(frames):
        reads.append(stepper.bank.times)
        step = stepper.step(frame, masks_at.get(time), last=time == len(frames) - 1)
        probabilities.append(stepper._previous[0].numpy().copy())
        labels.append(step.labels)
        scores.append(step.quality)
    return probabilities, labels, scores, reads[1:]


def check(clip, played, gaps, compare_scores=True):
    """The tolerances of the recording: probabilities 2e-4, label agreement .9995, scores 1e-4.

    The recording is in float32, whose rounding moves its logits by up to 3e-5. Where the k-th logit and the next are
    closer than that, it may have read either, and the clip differs from there on: the comparison ends at such a frame.
    Prints what was found (`pytest -rP` shows it); returns the number of frames compared.
    """
    probabilities, labels, scores, _ = played
    largest = 0.0
    for time, mine in enumerate(probabilities):
        difference = np.abs(mine - clip["prob"][: len(mine), time, 0]).max()
        if difference > 2e-4 and gaps and gaps[time - 1] < ROUNDING and difference < 1e-2:
            print(
                f"{time} of {len(probabilities)} frames, largest difference {largest:.1e}, a tie {gaps[time - 1]:.0e}"
            )
            return time
        largest = max(largest, float(difference))
        assert difference <= 2e-4, f"probabilities of frame {time}"
        assert (labels[time] == clip["masks"][time]).mean() >= 0.9995, f"masks of frame {time}"
        for slot, score in enumerate(clip["scores"][time]):
            if compare_scores and np.isfinite(score) and slot + 1 in scores[time]:
                assert scores[time][slot + 1] == pytest.approx(score, abs=1e-4), f"score of frame {time}"
    print(f"{len(probabilities)} of {len(probabilities)} frames, largest difference {largest:.1e}")
    return len(probabilities)


@pytest.mark.parametrize("scenario", ["notop", "km_notop"])
def test_davis_scenario_gives_the_recorded_numbers(released, shared, scenario):
    assert compare_davis(released, shared, scenario) == 12


@pytest.mark.parametrize(("scenario", "frames"), [("single", 8), ("three", 7), ("scripted", 12)])
def test_davis_scenario_with_top_k_gives_the_recorded_numbers(released_in_float64, shared, scenario, frames):
    assert compare_davis(released_in_float64, shared, scenario) == frames


def compare_davis(model, shared, scenario):
    """Play a scenario; the number of frames that could be compared."""
    clip = np.load(shared / "parity" / "qdmn" / f"{scenario}.npz")
    meta = json.loads(str(clip["meta"]))
    gate = ScriptedQuality(meta["script"]) if "script" in meta else None
    stepper = segmenter(model, meta, "qdmn_released_davis", gate=gate)
    played = play(stepper, clip, {0: clip["first_mask"]})
    assert [list(read) for read in played[3]] == meta["reads"]
    return check(clip, played, getattr(model.read.selection, "gaps", []), compare_scores=gate is None)


def test_youtube_scenario_gives_the_recorded_numbers(released_in_float64, shared):
    clip = np.load(shared / "parity" / "qdmn" / "yv.npz")
    meta = json.loads(str(clip["meta"]))
    gt, late = clip["gt"], meta["events"][1][0]
    masks_at = {frame: np.where(np.isin(gt[frame], ids), gt[frame], 0) for frame, ids, _ in meta["events"]}
    stepper = segmenter(released_in_float64, meta, "qdmn_released_youtube", prior=DoubleSoftmaxPrior())
    stepper.reset(objects=2)
    played = play(stepper, clip, masks_at)
    per_object = []
    for time, read in enumerate(played[3], start=1):
        per_object.append(list(read))
        if time > late:
            per_object.append([then for then in read if then >= late])
    assert per_object == meta["reads"]
    assert check(clip, played, released_in_float64.read.selection.gaps) == 8
