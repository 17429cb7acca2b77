import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import weight_norm as old_weight_norm

from memvos.model.backbone import ResNet
from memvos.model.frozen import FrozenStatistics, convolve, for_inference


def test_frozen_statistics_do_not_move_in_training_but_their_weights_are_trained():
    norm = FrozenStatistics(2).train()
    norm(torch.randn(4, 2, 3, 3) + 5).sum().backward()
    assert not norm.training
    assert norm.running_mean.tolist() == [0, 0]
    assert norm.num_batches_tracked == 0
    assert norm.bias.grad.tolist() == [36, 36]


def test_frozen_statistics_may_have_a_frozen_weight_and_bias():
    assert not any(p.requires_grad for p in FrozenStatistics(2, affine_trainable=False).parameters())


def test_scale_and_shift_are_the_affine_map_of_batch_norm():
    norm = FrozenStatistics(1)
    norm.running_mean.fill_(3.0)
    norm.running_var.fill_(4.0 - norm.eps)
    nn.init.constant_(norm.weight, 6.0)
    nn.init.constant_(norm.bias, 1.0)
    scale, shift = norm.scale_and_shift()  # 6 (x - 3) / 2 + 1 = 3 x - 8
    assert scale.item() == pytest.approx(3)
    assert shift.item() == pytest.approx(-8)


@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_with_folded_norm_equals_the_two_in_turn_with_the_same_gradients(bias, move):
    torch.manual_seed(0)
    convolution, norm, x = nn.Conv2d(3, 4, 3, 2, 1, bias=bias), FrozenStatistics(4), torch.randn(2, 3, 8, 8)
    move(norm)
    parameters = [*convolution.parameters(), *norm.parameters()]
    folded, plain = convolve(x, convolution, norm), norm(convolution(x))
    torch.testing.assert_close(folded, plain)
    weights = torch.randn_like(plain)
    for one, other in zip(
        torch.autograd.grad((folded * weights).sum(), parameters),
        torch.autograd.grad((plain * weights).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_network_made_ready_gives_the_same_and_leaves_the_other_alone(move):
    torch.manual_seed(0)
    trunk, image = ResNet(18, width=8), torch.randn(1, 3, 32, 32)
    for module in trunk.modules():
        if isinstance(module, FrozenStatistics):
            move(module)
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    ready = for_inference(trunk, torch.float32)
    assert not any(isinstance(module, FrozenStatistics) for module in ready.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in trunk.state_dict().items())
    for one, other in zip(ready(image), trunk(image), strict=True):
        torch.testing.assert_close(one, other)


def test_in_bf16_the_weights_are_cast_once_with_the_very_same_results(tiny):
    model, image = tiny().eval(), torch.randn(1, 3, 32, 32)
    ready = for_inference(model, torch.bfloat16)
    assert {part.weight.dtype for part in ready.modules() if isinstance(part, nn.Conv2d)} == {torch.bfloat16}
    assert {part.weight.dtype for part in model.modules() if isinstance(part, nn.Conv2d)} == {torch.float32}
    assert ready.read is not None
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for one, other in zip(ready.encode(image), model.encode(image), strict=True):
            assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm, old_weight_norm])
def test_convolutions_with_computed_weights_go_on_as_they_are(norm):
    network = nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), nn.Conv2d(4, 2, 1)).eval()
    image = torch.randn(1, 3, 8, 8)
    ready = for_inference(network, torch.bfloat16)
    assert ready[2].weight.dtype == torch.bfloat16
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ready(image), network(image))
