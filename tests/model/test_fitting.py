"""Tensors into a network, each accounted for; whole files: tests/model/test_checkpoints.py."""

import pytest
import torch

from memvos.errors import InputError
from memvos.model.fitting import check_settings, fit, require_trained
from memvos.model.state_files import LoadReport
from memvos.model.weight_file import WeightFile


def test_every_tensor_of_the_file_is_in_the_network_afterwards(tiny):
    source, target = tiny(), tiny()
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.add_(1)
    report = fit(target, WeightFile("w.ckpt", source.state_dict()))
    assert all(torch.equal(tensor, target.state_dict()[name]) for name, tensor in source.state_dict().items())
    assert set(report.matched) == source.state_dict().keys()
    assert (report.renamed, report.missing, report.unexpected) == ({}, (), ())


def test_a_file_that_lacks_a_tensor_leaves_the_network_as_it_was(tiny):
    network = tiny()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = {name: torch.zeros_like(tensor) for name, tensor in before.items() if name != "decoder.predict.bias"}
    with pytest.raises(InputError, match=r"does not fit QDMN: missing decoder\.predict\.bias, unexpected nothing"):
        fit(network, WeightFile("w.ckpt", state))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.to(torch.int8),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.to("meta"),
    ],
    ids=["int8", "complex", "sparse", "meta"],
)
def test_weights_of_another_kind_leave_the_network_as_it_was(tiny, change):
    network, stem = tiny(), "memory_encoder.trunk.conv1.weight"
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(InputError, match=rf"w\.ckpt: {stem} is .*, expected a dense tensor of float16"):
        fit(network, WeightFile("w.ckpt", {**before, stem: change(before[stem])}))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_weights_of_half_precision_are_taken(tiny):
    network = tiny()
    halved = {name: t.bfloat16() if t.is_floating_point() else t for name, t in network.state_dict().items()}
    fit(network, WeightFile("w.ckpt", halved))
    assert network.decoder.predict.weight.dtype == torch.float32
    assert torch.equal(network.decoder.predict.weight, halved["decoder.predict.weight"].float())


def test_parts_that_were_never_trained_are_refused_but_not_what_is_neutral():
    require_trained(LoadReport("w.pth", missing=("query_encoder.trunk.conv1.bias", "a.num_batches_tracked")))
    with pytest.raises(InputError, match=r"holds nothing trained for quality \(1 tensors: quality\.fc1\.weight\)"):
        require_trained(LoadReport("w.pth", missing=("quality.fc1.weight",)))


def test_a_setting_that_no_tensor_shows_is_compared():
    check_settings({"backbone": {"depth": 18}}, {"backbone": {"depth": 50}}, "w.ckpt")  # its tensors tell
    with pytest.raises(InputError, match=r"was trained with model\.backbone\.output_stride=16, the network has 8"):
        check_settings({"backbone": {"output_stride": 16}}, {"backbone": {"output_stride": 8}}, "w.ckpt")
