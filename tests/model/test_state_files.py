import os
import pickle
from functools import partial

import numpy as np
import pytest
import torch

from memvos.errors import InputError
from memvos.model.state_files import LoadReport, abridged, check_kinds, read_file, write_pickled, write_safetensors


class Code:
    """An object whose unpickling runs a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".npz", ".safetensors"])
def test_tensors_come_back_from_every_kind_of_file(tmp_path, suffix):
    path, tensor = tmp_path / f"weights{suffix}", torch.arange(6.0).view(2, 3)
    if suffix == ".npz":
        np.savez(path, a=tensor.numpy())
    elif suffix == ".safetensors":
        write_safetensors(path, {"a": tensor.T}, {})
        tensor = tensor.T
    else:
        torch.save({"a": tensor}, path)
    content = read_file(path)
    assert list(content) == ["a"]
    assert torch.equal(content["a"], tensor)


def test_metadata_travels_in_a_safetensors_file(tmp_path):
    write_safetensors(tmp_path / "w.safetensors", {"a": torch.zeros(1)}, {"model": {"k": [1, 2]}})
    assert read_file(tmp_path / "w.safetensors")["__metadata__"] == {"model": '{"k": [1, 2]}'}


def test_a_failure_that_says_nothing_is_told_by_its_kind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(InputError, match=r"cannot write .*w\.ckpt \(OSError\); name a file in a folder"):
        write_pickled(tmp_path / "w.ckpt", {})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weight file .*nothing.pth; give the path of a .pth"):
        read_file(tmp_path / "nothing.pth")


def test_a_folder_is_no_weight_file(tmp_path):
    with pytest.raises(InputError, match=r"is a folder; expected a \.pth.* file; give that of the weights in it"):
        read_file(tmp_path)


def test_an_unknown_suffix_is_refused(tmp_path):
    (tmp_path / "w.h5").touch()
    with pytest.raises(InputError, match=r"unknown kind of weight file '.h5'; expected .pth"):
        read_file(tmp_path / "w.h5")


@pytest.mark.parametrize("suffix", [".pth", ".npz", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.9])
def test_a_truncated_file_is_one_clear_line(tmp_path, suffix, kept):
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    tensor = torch.randn(50, 50)
    if suffix == ".npz":
        np.savez(whole, a=tensor.numpy())
    elif suffix == ".safetensors":
        write_safetensors(whole, {"a": tensor}, {})
    else:
        torch.save({"a": tensor}, whole)
    content = whole.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"cut.* it may be truncated, fetch it again") as caught:
        read_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("old_format", [False, True])
def test_a_truncated_old_file_is_one_clear_line(tmp_path, old_format):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.randn(50, 50)}, path, _use_new_zipfile_serialization=not old_format)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="it may be truncated, fetch it again"):
        read_file(path)


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html> not found",
        *(bytes([first]) + b" is no checkpoint" for first in b"abeqrstuQR.()]}"),
        b"\x8d\xff" * 9,
    ],
)
def test_a_file_of_garbage_is_one_clear_line(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(InputError, match="it may be truncated, fetch it again") as caught:
        read_file(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


def write_plainly(content, path, pickle_protocol):
    path.write_bytes(pickle.dumps(content, protocol=pickle_protocol))


WRITERS = [torch.save, partial(torch.save, _use_new_zipfile_serialization=False), write_plainly]


@pytest.mark.parametrize("write", WRITERS, ids=["zip", "old", "plain"])
@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_file_is_refused_and_not_run(tmp_path, recwarn, write, protocol):
    path, trace = tmp_path / "w.pth", tmp_path / "trace"
    write({"a": Code(f"touch {trace}")}, path, pickle_protocol=protocol)
    with pytest.raises(
        InputError, match="holds objects other than tensors, which could run code, and is refused"
    ) as caught:
        read_file(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()
    assert not recwarn.list


@pytest.mark.parametrize("write", WRITERS, ids=["zip", "old", "plain"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_file_of_objects_is_truncated_wherever_it_is_cut(tmp_path, write, protocol):
    write({"a": torch.ones(2), "b": Code("true")}, tmp_path / "whole.pth", pickle_protocol=protocol)
    content, path = (tmp_path / "whole.pth").read_bytes(), tmp_path / "cut.pth"
    whole = content.index(b"true")
    for end in range(0, whole, 5):
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match="not a weight file of PyTorch; it may be truncated"):
            read_file(path)


def test_a_file_that_holds_no_dictionary_is_refused(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "w.pth")
    with pytest.raises(InputError, match="expected a dictionary of weights, got list"):
        read_file(tmp_path / "w.pth")


def test_a_report_counts_and_names():
    report = LoadReport("w.pth", ("a", "b"), {"x": "a"}, ("c",), ())
    assert str(report) == "w.pth: 2 matched, 1 renamed, 1 missing, 0 unexpected; missing: c"


def test_long_lists_of_names_are_abridged():
    assert abridged(["d", "a", "c", "b", "e", "f"]) == "a, b, c, d and 2 more"


OWN = {"weight": torch.zeros(2, 2), "num_batches_tracked": torch.tensor(0)}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("counter", [torch.int32, torch.int64, torch.float16])
def test_weights_of_any_precision_and_counters_of_any_are_taken(dtype, counter):
    check_kinds(
        {"weight": torch.ones(2, 2, dtype=dtype), "num_batches_tracked": torch.tensor(1, dtype=counter)}, OWN, ""
    )


FLOATING = (
    r"expected a dense tensor of float16, bfloat16, float32, float64; give the weights as they were before they w"
)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("weight", torch.ones(2, 2, dtype=torch.int8), f"dense int8, {FLOATING}"),
        ("weight", torch.ones(2, 2, dtype=torch.bool), f"dense bool, {FLOATING}"),
        ("weight", torch.ones(2, 2, dtype=torch.complex64), f"dense complex64, {FLOATING}"),
        ("weight", torch.ones(2, 2).to(torch.float8_e4m3fn), f"dense float8_e4m3fn, {FLOATING}"),
        ("weight", torch.ones(2, 2).to_sparse(), f"sparse_coo float32, {FLOATING}"),
        ("weight", torch.ones(2, 2, device="meta"), rf"meta \(without values\) float32, {FLOATING}"),
        ("weight", torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged), f"nested float32, {FLOATING}"),
        ("weight", 0.5, f"float, {FLOATING}"),
        (
            "num_batches_tracked",
            torch.tensor(1j),
            "dense complex64, expected a dense tensor of int64; give the weights",
        ),
    ],
)
def test_weights_of_another_kind_are_named_with_it(name, value, told):
    with pytest.raises(InputError, match=rf"^w\.pth: {name} is {told}"):
        check_kinds({**OWN, name: value}, OWN, "w.pth")
