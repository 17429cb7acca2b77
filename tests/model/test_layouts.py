import pytest

from memvos.errors import InputError
from memvos.model.layouts import MIVOS_RELEASED, QDMN_RELEASED, STCN_RELEASED, is_convolution_bias

PAIRS = {
    "mask_rgb_encoder.layer1.0.conv1.weight": "memory_encoder.trunk.layer1.0.conv1.weight",
    "rgb_encoder.res2.0.downsample.1.running_var": "query_encoder.trunk.layer1.0.downsample.1.running_var",
    "rgb_encoder.layer3.5.bn3.bias": "query_encoder.trunk.layer3.5.bn3.bias",
    "kv_m_f16.key_proj.weight": "memory_projection.key.weight",
    "kv_q_f16.val_proj.bias": "query_projection.value.bias",
    "decoder.compress.downsample.weight": "decoder.compress.shortcut.weight",
    "decoder.compress.conv2.bias": "decoder.compress.conv2.bias",
    "decoder.up_16_8.skip_conv1.weight": "decoder.up8.skip.weight",
    "decoder.up_8_4.skip_conv2.conv1.weight": "decoder.up4.skip_block.conv1.weight",
    "decoder.up_16_8.out_conv.downsample.weight": "decoder.up8.block.shortcut.weight",
    "decoder.pred.bias": "decoder.predict.bias",
}
OF_QDMN = {
    "aspp.aspp1.atrous_conv.weight": "aspp.views.0.conv.weight",
    "aspp.aspp4.bn.running_mean": "aspp.views.3.bn.running_mean",
    "aspp.global_avg_pool.1.weight": "aspp.whole.conv.weight",
    "aspp.global_avg_pool.2.bias": "aspp.whole.bn.bias",
    "aspp.conv1.weight": "aspp.fuse.conv.weight",
    "aspp.bn1.weight": "aspp.fuse.bn.weight",
    "score.fc1.weight": "quality.fc1.weight",
    "concat_conv.weight": "prior.gate.weight",
}
OF_STCN = {
    "key_encoder.res2.0.conv1.weight": "query_encoder.trunk.layer1.0.conv1.weight",
    "key_encoder.layer3.5.bn3.bias": "query_encoder.trunk.layer3.5.bn3.bias",
    "value_encoder.layer1.0.conv1.bias": "memory_encoder.trunk.layer1.0.conv1.bias",
    "value_encoder.fuser.block1.downsample.weight": "fuser.block1.shortcut.weight",
    "value_encoder.fuser.attention.ChannelGate.mlp.1.weight": "fuser.channel_gate.fc1.weight",
    "value_encoder.fuser.attention.ChannelGate.mlp.3.bias": "fuser.channel_gate.fc2.bias",
    "value_encoder.fuser.attention.SpatialGate.spatial.conv.weight": "fuser.spatial_gate.conv.weight",
    "value_encoder.fuser.block2.conv2.bias": "fuser.block2.conv2.bias",
    "key_proj.key_proj.weight": "query_projection.key.weight",
    "key_comp.bias": "query_projection.value.bias",
    "decoder.up_16_8.skip_conv.weight": "decoder.up8.skip.weight",
    "decoder.up_8_4.out_conv.conv1.weight": "decoder.up4.block.conv1.weight",
}


@pytest.mark.parametrize(("released", "ours"), OF_STCN.items())
def test_names_of_stcn_translate_both_ways(released, ours):
    assert STCN_RELEASED.ours(released) == ours
    assert STCN_RELEASED.released(ours) == released


@pytest.mark.parametrize(("released", "ours"), {**PAIRS, **OF_QDMN}.items())
def test_names_of_qdmn_translate_both_ways(released, ours):
    assert QDMN_RELEASED.ours(released) == ours
    assert QDMN_RELEASED.released(ours) == released


@pytest.mark.parametrize(("released", "ours"), PAIRS.items())
def test_names_of_mivos_translate_both_ways(released, ours):
    assert MIVOS_RELEASED.ours(released) == ours
    assert MIVOS_RELEASED.released(ours) == released


def test_names_of_another_network_are_refused():
    with pytest.raises(InputError, match=r"'key_encoder.conv1.weight' is not a tensor of the released QDMN"):
        QDMN_RELEASED.ours("key_encoder.conv1.weight")


def test_a_part_that_the_released_network_lacks_cannot_be_exported():
    with pytest.raises(
        InputError, match=r"'prior.mask1.weight' has no place in a checkpoint of the released QDMN; export"
    ):
        QDMN_RELEASED.released("prior.mask1.weight")


def test_mivos_lacks_biases_aspp_score_and_prior_by_nature():
    lacking = ["query_encoder.trunk.conv1.bias", "query_encoder.trunk.layer1.0.downsample.0.bias", "aspp.whole.bn.bias"]
    assert all(MIVOS_RELEASED.may_lack(name) for name in [*lacking, "quality.fc1.weight", "prior.gate.bias"])
    kept = ["query_encoder.trunk.bn1.bias", "memory_encoder.trunk.conv1.bias", "decoder.compress.conv1.bias"]
    assert not any(MIVOS_RELEASED.may_lack(name) for name in kept)
    assert not QDMN_RELEASED.may_lack("query_encoder.trunk.conv1.bias")


def test_biases_of_convolutions_are_told_from_those_of_norms():
    assert is_convolution_bias("trunk.layer1.0.conv2.bias")
    assert is_convolution_bias("trunk.layer1.0.downsample.0.bias")
    assert not is_convolution_bias("trunk.layer1.0.downsample.1.bias")
    assert not is_convolution_bias("trunk.bn1.bias")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("network", "layout"), [("qdmn", QDMN_RELEASED), ("mivos", MIVOS_RELEASED), ("stcn", STCN_RELEASED)]
)
def test_every_name_of_the_released_checkpoints_translates_both_ways(shared, network, layout):
    lines = (shared / "parity" / "state_dict_keys" / f"{network}_keys.txt").read_text().splitlines()
    names = [line.split()[0] for line in lines if "." in line.split()[0]]
    assert len(names) == {"qdmn": 690, "mivos": 597, "stcn": 405}[network]
    assert [layout.released(layout.ours(name)) for name in names] == names
