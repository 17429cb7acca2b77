"""Numerics of the released networks everywhere: outputs recorded where they equalled the released networks' own.

`python tests/model/test_recorded_numerics.py` records them anew; do so only where test_released_numerics.py and
tests/decode/test_baseline_parity.py hold.
"""

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from memvos.model.composition import build, compose, without_sources
from memvos.model.interface import Memory
from memvos.model.layouts import MIVOS_RELEASED, QDMN_RELEASED, STCN_RELEASED
from memvos.model.memory_read import Kernel, Softmax, TopK

RECORD = Path(__file__).with_name("recorded_numerics.json")
SELECTIONS = {"softmax": Softmax(), "top-k 20": TopK(20), "kernel 5.6": Kernel(5.6)}
NETWORKS = {
    "qdmn": (QDMN_RELEASED, {"quality": "qam_released"}, list(SELECTIONS)),
    "mivos": (MIVOS_RELEASED, {}, list(SELECTIONS)),
    "stcn": (STCN_RELEASED, {}, ["softmax", "top-k 20"]),
}
"""Layout, options and reads of the networks on record."""


def released_network(network):
    """A published network with weights from the released names alone."""
    layout, options, _ = NETWORKS[network]
    model = build(without_sources(compose(network, options)))
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(keyed(layout.released(name), tensor.shape))
    return model.eval()


def keyed(name, shape):
    """He-normal weights, small normal biases, and batch norms near the identity that keep random features bounded."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    noise = torch.from_numpy(generator.standard_normal(tuple(shape), dtype=np.float32))
    if name == "decoder.pred.weight":
        return noise / 50
    if name == "score.fc2.weight":
        return noise.abs() / 1000
    if len(shape) > 1:
        gain = 6 if "key_proj" in name else 1  # lets the memory read prefer some positions
        return gain * noise * (2 / np.prod(shape[1:])) ** 0.5
    if name.endswith("running_var"):
        return (1 + noise / 10).square()
    last = any(norm in name for norm in ("bn3.weight", "downsample.1.weight"))
    return (0.3 if last else 1.0) + noise / 50 if name.endswith(".weight") else noise / 50


def outputs(network):
    """Numbers of every stage for a frame pair of 64 × 64 with three objects; samples of tensors, in float32."""
    model = released_network(network)
    axis = torch.arange(64.0)
    wave = [torch.sin(axis * f).view(-1, 1) * torch.cos(axis * g) for f, g in ((0.2, 0.3), (0.5, 0.1), (0.13, 0.4))]
    frames = torch.stack([torch.stack(wave), torch.stack(wave).roll((3, 5), (1, 2))])
    masks = torch.zeros(1, 3, 64, 64)
    masks[0, 0, 8:40, 8:30], masks[0, 1, 30:60, 36:60], masks[0, 2, 4:20, 40:60] = 0.9, 0.8, 0.7
    with torch.inference_mode():
        query = model.query(frames[1:])
        record = model.memorize(model.query(frames[:1]), masks)
        memory = Memory.stack([record, model.memorize(query, masks.flip(1))])
        features = getattr(query.features, "features", query.features)
        found = {**features._asdict(), "key": record.key, "value": record.value, "quality": record.quality}
        if hasattr(model, "enhance"):
            found["enhanced"] = model.enhance(features, masks)
        for name in NETWORKS[network][2]:
            model.read.selection = SELECTIONS[name]
            found[f"logits, {name}"] = model.segment(query, memory, masks)
    return {name: summary(tensor) for name, tensor in found.items()}


def summary(tensor):
    """Mean, mean absolute value and 24 evenly spaced entries."""
    flat = tensor.double().flatten()
    sample = flat[torch.linspace(0, len(flat) - 1, min(24, len(flat))).long()]
    return {"mean": flat.mean().item(), "size": flat.abs().mean().item(), "sample": sample.tolist()}


def names(network):
    """SHA-256 of the released names and shapes, in order of the names."""
    layout, options, _ = NETWORKS[network]
    with torch.device("meta"):
        model = build(without_sources(compose(network, options)))
    lines = sorted(f"{layout.released(name)} {tuple(t.shape)}" for name, t in model.state_dict().items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("network", NETWORKS)
def test_released_names_and_shapes_are_those_on_record(network):
    assert names(network) == json.loads(RECORD.read_text())[network]["names"]


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_every_stage_gives_the_numbers_on_record(network):
    recorded = json.loads(RECORD.read_text())[network]["outputs"]
    found = outputs(network)
    assert found.keys() == recorded.keys()
    for name, expected in recorded.items():
        for statistic, value in expected.items():
            assert found[name][statistic] == pytest.approx(value, rel=1e-3, abs=1e-4 * expected["size"]), name


if __name__ == "__main__":
    record = {network: {"names": names(network), "outputs": outputs(network)} for network in NETWORKS}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
