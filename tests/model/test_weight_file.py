import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from memvos.errors import InputError
from memvos.model.weight_file import WeightFile, read_weights, write_weights

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b.bias": torch.ones(2)}
MODEL = {"_target_": "memvos.model.qdmn.QDMN", "aspp_rates": [1, 2], "backbone": {"depth": 18, "weights": None}}


def equal(file: WeightFile, tensors=TENSORS) -> bool:
    same = file.tensors.keys() == tensors.keys()
    return same and all(torch.equal(file.tensors[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".safetensors"])
def test_what_is_written_comes_back(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    write_weights(path, TENSORS, MODEL, fresh=["b.bias", "a.weight"])
    found = read_weights(path)
    assert equal(found)
    assert (found.source, found.configuration, found.fresh) == (str(path), MODEL, ("a.weight", "b.bias"))
    write_weights(path, TENSORS, {})
    assert read_weights(path).fresh == ()


def test_a_pickled_file_of_ours_has_the_form_of_a_training_checkpoint(tmp_path):
    write_weights(tmp_path / "w.ckpt", TENSORS, MODEL)
    content = torch.load(tmp_path / "w.ckpt", weights_only=True)
    assert list(content["state_dict"]) == ["model.a.weight", "model.b.bias"]
    assert content["hyper_parameters"] == {"model": MODEL, "fresh": []}


@pytest.mark.parametrize("name", ["w.ckpt", "w.safetensors"])
def test_a_place_that_cannot_be_written_is_told(tmp_path, name):
    (tmp_path / "nowhere").touch()
    with pytest.raises(InputError, match=rf"cannot write .*{name} \(.*\); name a file in a folder you can write to"):
        write_weights(tmp_path / "nowhere" / name, TENSORS, MODEL)


@pytest.mark.parametrize(
    "content",
    [
        TENSORS,
        {"network": TENSORS, "it": 5},
        {f"module.{name}": tensor for name, tensor in TENSORS.items()},
        {"network": {f"module.{name}": tensor for name, tensor in TENSORS.items()}},
        {
            "state_dict": {
                "loss.weight": torch.ones(1),
                **{f"model.{name}": tensor for name, tensor in TENSORS.items()},
            },
            "epoch": 3,
        },
    ],
    ids=["plain", "network", "module", "both", "training"],
)
def test_every_wrapping_is_taken_off(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    found = read_weights(tmp_path / "w.pth")
    assert equal(found)
    assert (found.configuration, found.fresh) == (None, ())


def test_a_prefix_that_only_some_tensors_have_belongs_to_their_names(tmp_path):
    some = {"module.a": torch.ones(1), "b": torch.ones(1)}
    torch.save(some, tmp_path / "w.pth")
    assert equal(read_weights(tmp_path / "w.pth"), some)


def test_names_that_are_numbers_become_text(tmp_path):
    torch.save({1: torch.ones(1)}, tmp_path / "w.pth")
    assert list(read_weights(tmp_path / "w.pth").tensors) == ["1"]


def test_arrays_of_numpy_become_tensors(tmp_path):
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in TENSORS.items()})
    assert equal(read_weights(tmp_path / "w.npz"))


def test_metadata_of_others_is_left_alone(tmp_path):
    save_file(TENSORS, str(tmp_path / "w.safetensors"), {"format": "pt", "author": "not json"})
    found = read_weights(tmp_path / "w.safetensors")
    assert equal(found)
    assert found.configuration is None


def test_a_missing_and_a_damaged_file_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weight file .*w\.pth; give the path of a"):
        read_weights(tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(b"half")
    with pytest.raises(InputError, match=r"w\.pth: not a weight file of PyTorch; it may be truncated"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("facts", [{"model": 5}, "text", [1]])
def test_a_configuration_that_is_none_is_refused(tmp_path, facts):
    write_weights(tmp_path / "net.ckpt", TENSORS, MODEL)
    content = torch.load(tmp_path / "net.ckpt", weights_only=True)
    torch.save({**content, "hyper_parameters": facts}, tmp_path / "net.ckpt")
    with pytest.raises(InputError, match=r"net\.ckpt: expected the configuration of a network in it, got .* it is dam"):
        read_weights(tmp_path / "net.ckpt")


def test_a_list_of_untrained_tensors_that_is_none_is_refused(tmp_path):
    torch.save({"state_dict": {}, "hyper_parameters": {"model": MODEL, "fresh": 5}}, tmp_path / "net.ckpt")
    with pytest.raises(InputError, match="expected a list of the tensors that were not trained in it, got '5'; it is"):
        read_weights(tmp_path / "net.ckpt")


@pytest.mark.parametrize("text", ["not json", "[1]"])
def test_metadata_that_is_no_configuration_is_refused(tmp_path, text):
    save_file(TENSORS, str(tmp_path / "net.safetensors"), {"model": text})
    with pytest.raises(InputError, match="expected the configuration of a network in it, got"):
        read_weights(tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "it holds nothing"),
        ({"state_dict": {}}, "it holds nothing"),
        ({"state_dict": {"loss.weight": torch.ones(1)}}, r"it holds loss\.weight"),
        ({"state_dict": TENSORS}, r"it holds a\.weight, b\.bias"),
        ({"state_dict": {1: torch.ones(1), "a": torch.ones(1)}}, "it holds 1, a"),
    ],
)
def test_a_file_without_weights_is_refused(tmp_path, content, told):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError, match=rf"w\.pth: no weights of a network in it \({told}\); give a state_dict"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"epoch": 3}, r"epoch \(int\)"),
        ({**TENSORS, "optimizer": {}}, r"optimizer \(dict\)"),
        ({"network": {**TENSORS, "names": ["a"], 1: None}, "it": 5}, r"1 \(NoneType\), names \(list\)"),
        ({"state_dict": {"model.a": torch.ones(1), "model.b": 0.5}}, r"b \(float\)"),
    ],
)
def test_what_is_no_tensor_among_the_weights_is_named(tmp_path, content, told):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError, match=rf"w\.pth: expected nothing but tensors, got {told}; give a state_dict"):
        read_weights(tmp_path / "w.pth")


def test_a_part_has_the_tensors_below_its_name():
    file = WeightFile("w.ckpt", TENSORS, MODEL, ("b.bias",))
    part = file.of("a.")
    assert equal(part, {"weight": TENSORS["a.weight"]})
    assert (part.source, part.configuration, part.fresh) == ("w.ckpt", MODEL, ("b.bias",))
    assert file.of("c.").tensors == {}
