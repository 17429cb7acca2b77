"""The released STCN and MiVOS through importer and stepper: recorded probabilities, masks and memory reads."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from memvos.data.clip import normalise
from memvos.decode.propagate import Segmenter
from memvos.model.checkpoints import load_checkpoint
from memvos.model.interface import Memory

pytestmark = [pytest.mark.shared, pytest.mark.slow]
ENTRIES = {"stcn": 405, "mivos": 597}
PRESETS = {"stcn": "every_5_no_previous", "mivos": "every_5"}
SCENARIOS = [
    *(("stcn", name) for name in ("default", "every2_notop", "three", "oddpad", "yv")),
    *(("mivos", name) for name in ("top50", "notop", "km_notop", "three", "oddpad_notop", "yv")),
]


@pytest.fixture(scope="module")
def released(regenerate, tmp_path_factory):
    """A function that returns a released network, through the importer of its checkpoint; the latest is kept."""
    kept = {}

    def load(name):
        if name not in kept:
            kept.clear()
            path = tmp_path_factory.mktemp("released") / f"{name}.pth"
            torch.save(regenerate(name), path)
            kept[name], report, _ = load_checkpoint(name, path)
            path.unlink()
            assert (len(report.matched), report.missing, report.unexpected) == (ENTRIES[name], (), ())
        return kept[name]

    return load


def given(clip, settings):
    """Masks by frame: the objects that enter there."""
    gt = clip["gt"]
    events = settings.get("events") or [{"frame": 0, "objects": np.unique(gt[0])}]
    frames = {event["frame"]: event["objects"] for event in events}
    return {frame: np.where(np.isin(gt[frame], objects), gt[frame], 0) for frame, objects in frames.items()}


def per_object(reads, entered):
    """The reads of a memory shared by all objects as one read per object and frame; an object skips what was before."""
    for time, read in reads:
        for group in sorted({frame for frame in entered if frame < time}):
            yield [then for then in read if then >= group]


@pytest.mark.parametrize(("network", "scenario"), SCENARIOS)
def test_every_frame_equals_the_released_networks(released, shared, network, scenario):
    clip = np.load(shared / "parity" / network / f"{scenario}.npz")
    meta = json.loads(str(clip["meta"]))
    settings, masks = meta["settings"], given(clip, meta["settings"])
    stepper = Segmenter(
        released(network),
        PRESETS[network],
        "cpu",
        "float32",
        every=settings["mem_every"],
        top_k=settings["top_k"],
        kernel=settings.get("km"),
    )
    reads = []
    for time, frame in enumerate(clip["frames"]):
        reads.append((time, stepper.bank.times))
        step = stepper.step(frame, masks.get(time), last=time == len(clip["frames"]) - 1)
        mine, recorded = stepper._previous[0].numpy(), clip["prob"][:, time, 0]
        assert np.abs(mine - recorded[: len(mine)]).max() <= 2e-4, f"probabilities of frame {time}"
        assert (step.labels == clip["masks"][time]).mean() >= 0.9995, f"masks of frame {time}"
    assert list(per_object(reads[1:], masks)) == meta["reads"]


@pytest.mark.parametrize(
    ("network", "scenario", "names"),
    [
        ("stcn", "default", ("key_0", "value_0", "key_1", "value_1")),
        ("mivos", "top50", ("mem_key_0", "mem_value_0", "query_key_1", "query_value_1")),
    ],
)
def test_the_stages_equal_the_recorded_ones(released, shared, network, scenario, names):
    model, clip = released(network), np.load(shared / "parity" / network / f"{scenario}.npz")
    stages = np.load(shared / "parity" / network / "stages.npz")
    pad = json.loads(str(clip["meta"]))["pad"]
    frames = F.pad(normalise(torch.from_numpy(clip["frames"][:2])), pad)
    masks = torch.from_numpy(clip["prob"][1:, 0, 0]).unsqueeze(0)
    with torch.inference_mode():
        record = model.memorize(model.query(frames[:1]), masks)
        query = model.query(frames[1:])
        key, value = query.features[1:] if network == "stcn" else model.query_projection(query.features.f16)
        memory = Memory.stack([record])
        readout = model.read(key, memory)
        logits = model.segment(query, memory, masks)
    found = dict(zip(names, (record.key[0], record.value[0], key, value), strict=True))
    if network == "stcn":
        del found["value_1"]  # was not recorded
    found |= {"readout_1": readout[0]}
    for name, tensor in found.items():
        largest = np.abs(stages[name]).max()
        np.testing.assert_allclose(tensor.numpy(), stages[name], rtol=0, atol=1e-4 * largest, err_msg=name)
    quarter = torch.from_numpy(stages["logits_quarter_1"])
    whole = F.interpolate(quarter, scale_factor=4, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(logits[0].numpy(), whole[:, 0].numpy(), rtol=0, atol=1e-4 * quarter.abs().max())
