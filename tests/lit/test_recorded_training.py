"""A training step as the released code takes it, everywhere: numbers of a narrow QDMN, in float64.

`python tests/lit/test_recorded_training.py` records them anew; do so only where test_released_training.py holds.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from memvos.data.clip import ClipBatch
from memvos.lit import QDMNModule
from memvos.lit.unroll import unroll
from memvos.losses import BootstrappedCrossEntropy, QualityLoss
from memvos.model.composition import build, compose

RECORD = Path(__file__).with_name("recorded_training.json")
STEPS = (0, 45_000)
RELEASED = {"quality": "qam_released", "prior": "weak", "start": "as_is", "read": "softmax", "aspp_rates": [1, 2, 3]}
NARROW = {"key_channels": 8, "value_channels": 16, "decoder_width": 16, "aspp_width": 16, "grid": 4}
BACKBONE = {"_target_": "memvos.model.backbone.ResNet", "_partial_": True, "depth": 18, "width": 8, "conv_bias": True}


def network():
    """Parts and order of the released network, weights from their names alone."""
    model = build(compose("qdmn", {**RELEASED, **NARROW, "backbone": BACKBONE})).double()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.ndim > 1 or name.endswith("bias"):
                random = np.random.default_rng(zlib.crc32(name.encode()))
                scale = (2 / tensor[0].numel()) ** 0.5 if tensor.ndim > 1 else 0.02
                tensor.copy_(torch.from_numpy(scale * random.standard_normal(tuple(tensor.shape))))
        model.quality.fc2.bias.fill_(0.5)  # a score that ReLU lets through
    return model


def batch(objects):
    """Two clips of three frames of 64 × 64 with a moving object, and with two, of which the second clip has one."""
    waves = [torch.sin(torch.arange(64.0) * f).view(-1, 1) * torch.cos(torch.arange(64.0) * f) for f in (0.2, 0.5, 0.3)]
    frames = torch.stack([torch.stack([torch.stack(waves).roll((t, c), (1, 2)) for t in range(3)]) for c in (0, 7)])
    masks = torch.zeros(2, 3, objects, 64, 64)
    for time in range(3):
        masks[:, time, 0, 8 + time : 36 + time, 6:30] = 1
        masks[0, time, 1:, 30:58, 34 - 2 * time : 58] = 1
    valid = torch.tensor([[True, True], [True, False]])[:, :objects]
    return ClipBatch(frames.double(), masks.double(), valid)


def training_step(objects):
    """Scores, true IoU, and losses and norms of gradients at both iterations."""
    model, clips = network(), batch(objects)
    loss = BootstrappedCrossEntropy()
    module = QDMNModule(
        model, loss, QualityLoss(average="slots", soft_truth=True), None, None, quality_gradient="released"
    ).train()
    frames = unroll(model, clips)
    truths = [module.quality_loss.target(frame.probabilities, clips.masks[:, frame.time]) for frame in frames]
    numbers = {
        "scores": [frame.quality.detach().flatten().tolist() for frame in frames],
        "iou": [truth.flatten().tolist() for truth in truths],
    }
    for step in STEPS:
        losses = [
            loss(frame.logits, clips.labels[:, frame.time], step)
            + module.quality_loss(frame.quality, truth, clips.valid)
            for frame, truth in zip(frames, truths, strict=True)
        ]
        model.zero_grad()
        sum(losses).backward(retain_graph=step != STEPS[-1])
        parts = {name: part for name, part in model.named_children() if any(True for _ in part.parameters())}
        norms = {name: [p.grad.norm() for p in part.parameters() if p.requires_grad] for name, part in parts.items()}
        numbers[f"losses at {step}"] = [float(value.detach()) for value in losses]
        numbers[f"gradients at {step}"] = {name: float(torch.stack(norm).norm()) for name, norm in norms.items()}
    return numbers


@pytest.mark.parametrize("objects", [1, 2])
def test_a_step_gives_the_numbers_on_record(in_float64, objects):
    recorded, found = json.loads(RECORD.read_text())[str(objects)], training_step(objects)
    assert found.keys() == recorded.keys()
    for name, expected in recorded.items():
        assert found[name] == (pytest.approx(expected, rel=1e-4) if isinstance(expected, dict) else near(expected)), (
            name
        )


def near(values):
    return [near(value) if isinstance(value, list) else pytest.approx(value, rel=1e-4, abs=1e-6) for value in values]


if __name__ == "__main__":
    torch.Tensor.float = torch.Tensor.double  # as the fixture in_float64 has it
    RECORD.write_text(json.dumps({objects: training_step(objects) for objects in (1, 2)}, indent=1) + "\n")
