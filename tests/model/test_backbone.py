import urllib.error

import pytest
import torch
import torchvision
from torch import nn

from memvos.errors import InputError
from memvos.model.backbone import ResNet, extend_stem


def state_of(model, tmp_path, **changes):
    path = tmp_path / "trunk.pth"
    torch.save({**model.state_dict(), **changes}, path)
    return path


@pytest.mark.parametrize("depth", [18, 50])
def test_features_equal_those_of_torchvision_up_to_layer3(depth, move):
    torch.manual_seed(0)
    theirs, ours = torchvision.models.resnet.__dict__[f"resnet{depth}"]().eval(), ResNet(depth).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            move(module)
    kept = {name: tensor for name, tensor in theirs.state_dict().items() if name in ours.state_dict()}
    ours.load_state_dict(kept)
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        x = theirs.layer1(theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(image)))))
        expected = [x, theirs.layer2(x), theirs.layer3(theirs.layer2(x))]
        for mine, their in zip(ours(image), expected, strict=True):
            torch.testing.assert_close(mine, their, rtol=1e-3, atol=1e-3 * their.abs().max().item())


def test_features_lie_at_strides_4_8_and_16():
    features = ResNet(18, width=8)(torch.zeros(1, 3, 64, 96))
    assert [tuple(f.shape[1:]) for f in features] == [(8, 16, 24), (16, 8, 12), (32, 4, 6)]


def test_output_stride_8_keeps_the_grid_of_layer2():
    features = ResNet(50, width=8, output_stride=8)(torch.zeros(1, 3, 64, 96))
    assert [tuple(f.shape[1:]) for f in features] == [(32, 16, 24), (64, 8, 12), (128, 8, 12)]


def test_extra_stem_channels_are_orthogonal_and_the_rest_is_kept():
    weight = torch.randn(8, 3, 7, 7)
    extended = extend_stem(weight, 5)
    assert torch.equal(extended[:, :3], weight)
    rows = extended[:, 3:].flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(8), rtol=0, atol=1e-5)


def test_convolution_biases_start_at_zero():
    trunk = ResNet(18, width=8, conv_bias=True)
    biases = [m.bias for m in trunk.modules() if isinstance(m, nn.Conv2d)]
    assert len(biases) == 1 + 12 + 2
    assert all(bias.count_nonzero() == 0 for bias in biases)


def test_weights_of_a_file_are_loaded_with_all_that_was_left_out_named(tmp_path):
    source = torchvision.models.resnet18()
    trunk = ResNet(18, in_channels=5, conv_bias=True, weights=state_of(source, tmp_path))
    assert torch.equal(trunk.conv1.weight[:, :3], source.conv1.weight)
    assert torch.equal(trunk.layer3[1].bn2.weight, source.layer3[1].bn2.weight)
    assert "conv1.bias" in trunk.report.missing
    assert "layer2.0.downsample.0.bias" in trunk.report.missing
    assert len(trunk.report.missing) == 15
    assert {name.split(".")[0] for name in trunk.report.unexpected} == {"layer4", "fc"}


def test_half_precision_weights_are_loaded_as_float32(tmp_path):
    source = ResNet(18, width=8)
    half = {"conv1.weight": source.conv1.weight.half()}
    assert ResNet(18, width=8, weights=state_of(source, tmp_path, **half)).conv1.weight.dtype == torch.float32


@pytest.mark.parametrize("value", [torch.ones(8, 3, 7, 7, dtype=torch.int8), {"nested": 1}])
def test_weights_of_another_kind_are_refused(tmp_path, value):
    with pytest.raises(InputError, match=r"conv1\.weight is (dense int8|dict), expected a dense tensor of float16"):
        ResNet(18, width=8, weights=state_of(ResNet(18, width=8), tmp_path, **{"conv1.weight": value}))


def test_weights_of_another_depth_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"not a ResNet-50 trunk: missing .*; give weights of model.backbone.depth"):
        ResNet(50, width=8, weights=state_of(ResNet(18, width=8), tmp_path))


def test_weights_of_another_width_are_refused_with_both_shapes(tmp_path):
    with pytest.raises(InputError, match=r"has shape \(8, .*expected \(16, .*give weights of the same depth and width"):
        ResNet(18, width=16, weights=state_of(ResNet(18, width=8), tmp_path))


def test_a_stem_with_more_channels_than_the_network_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"conv1.weight has shape \(8, 5, 7, 7\), expected \(8, 3, 7, 7\)"):
        ResNet(18, width=8, weights=state_of(ResNet(18, in_channels=5, width=8), tmp_path))


def test_unknown_depth_and_stride_are_refused():
    with pytest.raises(InputError, match=r"unknown ResNet depth 19; expected one of \[18, 34, 50, 101\]"):
        ResNet(19)
    with pytest.raises(InputError, match="unknown output_stride 4; expected 8 or 16"):
        ResNet(18, output_stride=4)


def test_without_a_network_imagenet_weights_are_refused_with_the_remedy(monkeypatch):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("offline")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(InputError, match=r"cannot fetch the ImageNet weights of ResNet-18 .*model.backbone.weights"):
        ResNet(18, weights="imagenet")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("depth", "file"),
    [(18, "resnet18_layer1to3_torchvision_names_bnfolded"), (50, "resnet50_layer1to3_torchvision_names")],
)
def test_the_files_of_imagenet_weights_beside_the_checkout_load(shared, depth, file):
    report = ResNet(depth, in_channels=5, conv_bias=True, weights=shared / "data" / "weights" / f"{file}.npz").report
    assert all(name.endswith(".bias") for name in report.missing)
    assert all(name.startswith("fc.") for name in report.unexpected)
