import pytest
import torch
from torch import nn

from memvos.model.backbone import Features
from memvos.model.decoder import ASPP, Decoder, ResidualBlock, UpBlock, join


def features(images, stride8=4):
    return Features(torch.randn(images, 3, 8, 8), torch.randn(images, 5, stride8, stride8), torch.empty(0))


def test_a_residual_block_with_silent_convolutions_passes_its_input():
    block, x = ResidualBlock(3, 3), torch.randn(1, 3, 4, 4)
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    assert torch.equal(block(x), x)


def test_a_residual_block_changes_channels_by_a_convolution_of_the_unactivated_input():
    block, x = ResidualBlock(3, 2), -torch.ones(1, 3, 4, 4)
    for parameter in block.conv2.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(block(x), block.shortcut(x))


def test_the_aspp_keeps_shape_and_sees_the_whole_image():
    torch.manual_seed(0)
    aspp, x = ASPP(6, 4, (1, 2)), torch.randn(2, 6, 8, 9)
    changed = x.clone()
    changed[:, :, 7, 8] += 100.0
    assert aspp(x).shape == x.shape
    assert not torch.equal(aspp(x)[:, :, 0, 0], aspp(changed)[:, :, 0, 0])


@pytest.mark.parametrize("images", [1, 2])
def test_skip_features_of_an_image_serve_all_its_objects(images):
    torch.manual_seed(0)
    block, skip, coarse = UpBlock(3, 4, 2), torch.randn(images, 3, 8, 8), torch.randn(images * 3, 4, 4, 4)
    alone = [block(skip[n // 3 :][:1], coarse[n : n + 1]) for n in range(images * 3)]
    torch.testing.assert_close(block(skip, coarse), torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_skip_convolutions_run_once_per_image():
    block, seen = UpBlock(3, 4, 2), []
    block.skip.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    block(torch.randn(2, 3, 8, 8), torch.randn(6, 4, 4, 4))
    assert seen == [2]


def test_without_a_skip_block_the_skip_feature_has_one_convolution():
    assert isinstance(UpBlock(3, 4, 2, skip_block=False).skip_block, nn.Identity)


@pytest.mark.parametrize("grid", [2, 4])  # a memory grid at stride 16 and at stride 8 of a 32-pixel image
def test_the_decoder_returns_float32_logits_of_the_image_size(grid):
    decoder = Decoder(6, (3, 5), width=4)
    with torch.autocast("cpu", torch.bfloat16):
        logits = decoder(torch.randn(4, 6, grid, grid), features(2))
    assert (logits.shape, logits.dtype) == ((2, 2, 32, 32), torch.float32)


def test_every_objects_read_out_is_joined_with_the_value_of_its_image():
    readout, value = torch.randn(2, 3, 4, 5, 6), torch.randn(2, 4, 5, 6)
    joined = join(readout, value).unflatten(0, (2, 3))
    assert torch.equal(joined[1, 2], torch.cat([readout[1, 2], value[1]]))
