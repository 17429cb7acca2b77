"""Which layout a file has, and what is written in released names; whole files: tests/model/test_checkpoints.py."""

from functools import partial

import pytest
import torch

from memvos.errors import InputError
from memvos.model.backbone import ResNet
from memvos.model.layouts import MIVOS_RELEASED, QDMN_RELEASED
from memvos.model.qam import AcceptAll, QualityHead
from memvos.model.released import layout_of, released_tensors, setting_apart
from memvos.model.weight_file import WeightFile


@pytest.fixture
def network(tiny):
    """As small as `tiny`, on the grid of the released QDMN and with its score head."""
    head = partial(QualityHead, activations=("relu", "relu"))
    return tiny(backbone=partial(ResNet, 18, width=4, conv_bias=True), aspp_rates=(6, 12, 18), quality=head)


def test_the_names_of_the_tensors_decide_the_layout(network):
    own = network.state_dict()
    named = {QDMN_RELEASED.released(name): tensor for name, tensor in own.items()}
    without_head = {name: tensor for name, tensor in named.items() if not name.startswith("score.")}
    assert layout_of(network, WeightFile("w.pth", own)) is None
    assert layout_of(network, WeightFile("w.pth", named)) is QDMN_RELEASED
    assert layout_of(network, WeightFile("w.pth", without_head)) is MIVOS_RELEASED


def test_every_tensor_goes_out_under_its_released_name(network):
    written = released_tensors(network, ())
    assert {QDMN_RELEASED.ours(name) for name in written} == network.state_dict().keys()
    name = "concat_conv.weight"
    assert torch.equal(written[name], network.state_dict()[QDMN_RELEASED.ours(name)])


def test_what_was_never_trained_does_not_go_out(network):
    assert released_tensors(network, ("query_encoder.trunk.conv1.bias",))  # neutral
    with pytest.raises(InputError, match=r"decoder\.predict\.weight were never trained; write \.ckpt"):
        released_tensors(network, ("decoder.predict.weight",))


def test_a_setting_that_no_tensor_shows_is_told_apart(network, tiny, tiny_mivos):
    assert setting_apart(network, QDMN_RELEASED) is None
    assert setting_apart(tiny(), MIVOS_RELEASED)[0].endswith("has output_stride 16, the network has 8")
    coarse = partial(ResNet, 18, width=4)
    told, choice = setting_apart(tiny(backbone=coarse, quality=AcceptAll), QDMN_RELEASED)
    assert told == "the released QDMN has aspp_rates (6, 12, 18), the network has (1, 2)"
    assert choice == "choose model.aspp_rates=[6,12,18]"
    assert setting_apart(tiny_mivos(backbone=coarse), MIVOS_RELEASED) is None
