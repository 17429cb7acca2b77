import torch
from torch import nn

from memvos.model.fuser import ChannelGate, Fuser, SpatialGate


def fill(module, weight, bias=0.0):
    nn.init.constant_(module.weight, weight)
    nn.init.constant_(module.bias, bias)


def test_channels_are_weighed_by_mean_and_maximum_together():
    gate, x = ChannelGate(1), torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
    fill(gate.fc1, 1.0)
    fill(gate.fc2, 0.1)
    # mean 2 and maximum 3 through the same layers: 0.2 + 0.3
    torch.testing.assert_close(gate(x), x * torch.tensor(0.5).sigmoid())


def test_the_hidden_layer_has_a_sixteenth_of_the_channels_but_at_least_one():
    assert [ChannelGate(channels).fc1.out_features for channels in (512, 64, 6)] == [32, 4, 1]


def test_places_are_weighed_by_maximum_and_mean_over_channels():
    gate, x = SpatialGate(), torch.tensor([1.0, 5.0]).view(1, 2, 1, 1)
    fill(gate.conv, 0.0)
    with torch.no_grad():
        gate.conv.weight[0, :, 3, 3] = torch.tensor([1.0, 10.0])
    torch.testing.assert_close(gate(x), x * torch.tensor(5.0 + 10 * 3.0).sigmoid())


def test_every_object_is_fused_with_the_feature_of_its_own_image():
    torch.manual_seed(0)
    fuser, feature, image = Fuser(5, 4), torch.randn(2, 3, 2, 6, 7), torch.randn(2, 3, 6, 7)
    alone = fuser(feature[1:, 2:], image[1:])
    fused = fuser(feature, image)
    assert fused.shape == (2, 3, 4, 6, 7)
    torch.testing.assert_close(fused[1:, 2:], alone, rtol=1e-4, atol=1e-5)


def test_closed_gates_leave_the_two_residual_blocks():
    torch.manual_seed(0)
    fuser, feature, image = Fuser(5, 4), torch.randn(1, 1, 2, 6, 7), torch.randn(1, 3, 6, 7)
    fill(fuser.spatial_gate.conv, 0.0, bias=-1e4)
    x = torch.cat([feature[:, 0], image], dim=1)
    torch.testing.assert_close(fuser(feature, image)[:, 0], fuser.block2(fuser.block1(x)))
