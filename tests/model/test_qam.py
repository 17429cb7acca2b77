import pytest
import torch
from torch import nn

from memvos.errors import InputError
from memvos.model.qam import AcceptAll, QualityHead


def head(**changes):
    torch.manual_seed(0)
    return QualityHead(8, **{"grid": 4, **changes})


def test_the_published_head_has_its_number_of_parameters():
    assert sum(p.numel() for p in QualityHead(1024).parameters()) == 41_880_577


def test_layer_sizes_follow_the_channels_unless_given():
    assert (head().conv1.out_channels, head().fc1.out_features) == (2, 8)
    assert (head(width=5, hidden=6).conv4.out_channels, head(hidden=6).fc1.out_features) == (5, 6)


def test_there_is_one_score_per_clip_and_object():
    assert head()(torch.randn(2, 3, 8, 4, 4)).shape == (2, 3)


def test_a_sigmoid_score_lies_between_0_and_1():
    scores = head()(100 * torch.randn(50, 1, 8, 4, 4))
    assert ((scores >= 0) & (scores <= 1)).all()


def test_a_relu_score_is_at_least_0_and_may_exceed_1():
    module = head(activations=("relu", "relu"))
    nn.init.constant_(module.fc2.bias, 5.0)
    scores = module(10 * torch.randn(50, 1, 8, 4, 4))
    assert scores.min() >= 0
    assert scores.max() > 1


def test_a_constant_head_by_hand():
    module = head(hidden=2, activations=("relu", "sigmoid"))
    for layer in (module.conv4, module.fc1, module.fc2):
        nn.init.zeros_(layer.weight)
    nn.init.constant_(module.fc1.bias, -3.0)  # relu gives 0, so the score is sigmoid(0)
    nn.init.ones_(module.fc2.weight)
    assert module(torch.randn(1, 1, 8, 4, 4)).item() == 0.5


def test_a_feature_of_another_size_is_resized_to_the_grid():
    module, feature = head(), torch.randn(1, 1, 8, 1, 1)
    torch.testing.assert_close(module(feature.expand(1, 1, 8, 9, 5)), module(feature.expand(1, 1, 8, 4, 4)))


def test_group_norms_have_no_parameters_and_make_the_score_blind_to_scale():
    module, feature = head(norm="group"), torch.randn(3, 1, 8, 4, 4)
    assert len(module.state_dict()) == len(head().state_dict())
    torch.testing.assert_close(module(feature), module(1000 * feature), rtol=1e-3, atol=1e-4)


def test_the_score_is_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert head()(torch.randn(1, 2, 8, 4, 4)).dtype == torch.float32


def test_the_gradient_of_the_score_reaches_the_feature():
    feature = torch.randn(1, 1, 8, 4, 4, requires_grad=True)
    module = head()
    module(feature).sum().backward()
    assert module.fc1.weight.grad.count_nonzero() > 0
    assert feature.grad.count_nonzero() > 0


def test_no_qam_accepts_everything_and_has_no_parameters():
    scores = AcceptAll()(torch.randn(2, 3, 8, 4, 4))
    assert scores.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert not AcceptAll().state_dict()


@pytest.mark.parametrize(("channels", "groups"), [(8, 1), (50, 2), (36, 2), (53, 1), (64, 4), (256, 16), (1024, 64)])
def test_groups_divide_any_number_of_channels(channels, groups):
    module = QualityHead(channels, grid=4, hidden=8, norm="group")
    assert module.input_norm.num_groups == groups
    assert module(torch.randn(2, 1, channels, 4, 4)).shape == (2, 1)


def test_unknown_activations_and_norms_are_refused():
    with pytest.raises(InputError, match=r"unknown QAM activations \['tanh', 'relu'\]; expected two of"):
        head(activations=("tanh", "relu"))
    with pytest.raises(InputError, match="unknown QAM norm 'batch'; expected one of"):
        head(norm="batch")
