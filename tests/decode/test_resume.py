from pathlib import Path

import numpy as np
import pytest
import torch

from memvos import load_model
from memvos.decode.gate import OracleQuality
from memvos.decode.prior import DoubleSoftmaxPrior
from memvos.decode.propagate import Segmenter
from memvos.decode.resume import packed, unpack
from memvos.errors import InputError


def stepper(model, **changes):
    return Segmenter(
        model, **{"memory": "qdmn", "device": "cpu", "precision": "float32", "every": 2, "beta": 3, **changes}
    )


@pytest.fixture
def saved(nearest, clip, tmp_path):
    """A segmenter 10 frames into a clip in which a second object entered at frame 4, saved; and its file."""
    frames, labels = clip(20, 32, 40)
    segmenter = stepper(nearest)
    corner = np.zeros((32, 40), bool)
    corner[:6, 30:] = True
    for time in range(10):
        segmenter.step(frames[time], {0: labels[0], 4: {8: corner}}.get(time))
    path = tmp_path / "memory.pt"
    segmenter.save(path)
    return segmenter, path, frames[10:]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_loaded_segmenter_goes_on_bit_equal(nearest, clip, tmp_path, precision):
    frames, labels = clip(20, 32, 40)
    segmenter, other = (stepper(nearest, precision=precision) for _ in range(2))
    for time, frame in enumerate(frames):
        step = segmenter.step(frame, labels[0] if time == 0 else None)
        if time == 9:
            segmenter.save(tmp_path / "memory.pt")
            other.load(tmp_path / "memory.pt")
        if time > 9:
            expected = other.step(frame)
            assert np.array_equal(step.labels, expected.labels)
            assert np.array_equal(step.probabilities[1], expected.probabilities[1])
            assert (step.quality, step.decision) == (expected.quality, expected.decision)


def test_a_state_may_be_part_of_a_larger_file(nearest, saved, tmp_path):
    segmenter, _, frames = saved
    torch.save({"frames": 10, "segmenter": packed(segmenter)}, tmp_path / "larger.pt")
    other = stepper(nearest)
    unpack(other, torch.load(tmp_path / "larger.pt", weights_only=True)["segmenter"], tmp_path / "larger.pt")
    assert np.array_equal(segmenter.step(frames[0]).probabilities[8], other.step(frames[0]).probabilities[8])


def test_settings_may_be_numbers_of_numpy(nearest, clip, tmp_path):
    frames, labels = clip(3, 32, 40)
    settings = {"sigma": np.float64(0.5), "beta": np.int64(3), "short_side": np.int64(30), "every": np.int32(1)}
    first, second = (stepper(nearest, **settings) for _ in range(2))
    first.step(frames[0], labels[0])
    first.save(tmp_path / "memory.pt")
    second.load(tmp_path / "memory.pt")
    assert np.array_equal(first.step(frames[1]).labels, second.step(frames[1]).labels)


def test_late_objects_survive_saving(nearest, saved):
    segmenter, path, frames = saved
    other = stepper(nearest)
    other.load(path)
    assert other.ids == [1, 8]
    assert torch.equal(other.bank.read().valid, segmenter.bank.read().valid)
    for frame in frames:
        step, expected = segmenter.step(frame), other.step(frame)
        assert all(np.array_equal(step.probabilities[key], expected.probabilities[key]) for key in (1, 8))


def test_a_file_of_other_weights_is_refused(nearest, saved):
    with torch.no_grad():
        nearest.sharpness.add_(1)
    with pytest.raises(InputError, match=r"memory.pt was saved with weights \w{8}, this segmenter has \w{8}"):
        stepper(nearest).load(saved[1])


def test_a_file_of_another_model_is_refused(painted, saved):
    with pytest.raises(InputError, match="saved with model Nearest, this segmenter has Painted"):
        stepper(painted).load(saved[1])


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"beta": 4}, "memory"),
        ({"precision": "bf16"}, "precision"),
        ({"short_side": 8}, "short_side"),
        ({"prior": DoubleSoftmaxPrior()}, "prior"),
        ({"gate": OracleQuality()}, "gate"),
    ],
)
def test_a_file_with_other_settings_is_refused(nearest, saved, changes, name):
    with pytest.raises(InputError, match=f"saved with {name} .*; build it with the same {name}"):
        stepper(nearest, **changes).load(saved[1])


def test_a_file_of_another_read_is_refused(tmp_path):
    model, frame = load_model("qdmn_small"), np.zeros((32, 32, 3), np.uint8)
    segmenter = Segmenter(model, device="cpu", precision="float32", top_k=5)
    segmenter.step(frame, np.eye(32, dtype=np.uint8))
    segmenter.save(tmp_path / "memory.pt")
    for changes in ({"top_k": 6}, {"kernel": 3.0, "top_k": 5}, {}):
        with pytest.raises(InputError, match=r"saved with read .*'top_k': 5.*; build it with the same read"):
            Segmenter(model, device="cpu", precision="float32", **changes).load(tmp_path / "memory.pt")


def test_a_file_of_another_version_is_refused(nearest, saved):
    state = torch.load(saved[1], weights_only=True)
    torch.save({**state, "format": 99}, saved[1])
    with pytest.raises(InputError, match="has format 99, this version reads 5"):
        stepper(nearest).load(saved[1])


def test_a_damaged_file_is_refused(nearest, saved):
    saved[1].write_bytes(saved[1].read_bytes()[:200])
    with pytest.raises(InputError, match="is not a saved memory, or is damaged"):
        stepper(nearest).load(saved[1])


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2], {"format": 5, "header": 5}])
def test_another_kind_of_file_is_refused(nearest, tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(InputError, match="is not a saved memory; write one with save"):
        stepper(nearest).load(tmp_path / "other.pt")


def test_text_is_refused(nearest, tmp_path):
    (tmp_path / "other.pt").write_text("hello")
    with pytest.raises(InputError, match="is not a saved memory, or is damaged"):
        stepper(nearest).load(tmp_path / "other.pt")


def test_a_file_that_lacks_a_part_leaves_the_segmenter_as_it_was(nearest, saved, tmp_path):
    segmenter, path, frames = saved
    state = torch.load(path, weights_only=True)
    del state["bank"]["ranks"]
    torch.save(state, tmp_path / "part.pt")
    with pytest.raises(InputError, match=r"part\.pt is damaged"):
        segmenter.load(tmp_path / "part.pt")
    other = stepper(nearest)
    other.load(path)
    assert np.array_equal(segmenter.step(frames[0]).probabilities[8], other.step(frames[0]).probabilities[8])


def test_a_missing_file_is_refused(nearest, tmp_path):
    with pytest.raises(InputError, match=r"no saved memory at .*missing\.pt"):
        stepper(nearest).load(tmp_path / "missing.pt")


def test_a_place_that_cannot_be_written_is_refused(saved, tmp_path):
    (tmp_path / "nowhere").touch()
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        saved[0].save(tmp_path / "nowhere" / "memory.pt")
    with pytest.raises(InputError, match="cannot write "):
        saved[0].save(tmp_path)
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}.*"))


def test_a_stop_while_saving_leaves_the_file_before_as_it_was(nearest, saved, monkeypatch):
    segmenter, path, frames = saved
    segmenter.step(frames[0])

    def stopped(state, file):
        Path(file).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        segmenter.save(path)
    stepper(nearest).load(path)
    assert list(path.parent.iterdir()) == [path]


def test_a_refused_file_leaves_the_segmenter_as_it_was(nearest, saved, tmp_path):
    segmenter, _, frames = saved
    with pytest.raises(InputError):
        segmenter.load(tmp_path / "missing.pt")
    assert segmenter.step(frames[0]).time == 10


def test_a_place_that_is_no_path_is_refused(nearest):
    segmenter = stepper(nearest)
    for verb in (segmenter.save, segmenter.load):
        with pytest.raises(InputError, match=r"expected the path of a saved memory, got None; name a file"):
            verb(None)
    with pytest.raises(InputError, match=r"cannot write  \(.*empty name"):
        segmenter.save("")
