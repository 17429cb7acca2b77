from functools import partial

import pytest
import torch
from torch import nn

from memvos.errors import InputError
from memvos.model.checkpoints import load_model, load_weights, save_model
from memvos.model.composition import build, compose, without_sources
from memvos.model.floors import CopyFirst
from memvos.model.interface import Memory
from memvos.model.plugin import BorrowedQAM, QAMPlugin, feature_channels
from memvos.model.qam import AcceptAll, QualityHead
from memvos.model.weight_file import read_weights

IMAGE, MASKS = torch.randn(2, 3, 32, 32), torch.rand(2, 3, 32, 32)


class MeanOfFeature(nn.Module):
    """Quality = mean of the feature that QAM is shown."""

    def __init__(self, channels, grid):
        super().__init__()
        self.channels, self.grid = channels, grid

    def forward(self, feature):
        return feature.mean(dim=(-3, -2, -1))


@pytest.fixture
def lender(tmp_path):
    """The checkpoint of a narrow QDMN, and the network in it."""
    torch.manual_seed(3)
    options = {"key_channels": 4, "value_channels": 8, "decoder_width": 8, "aspp_width": 8, "grid": 4}
    backbone = {"_target_": "memvos.model.backbone.ResNet", "_partial_": True, "depth": 18, "width": 4}
    configuration = without_sources(compose("qdmn_small", {**options, "backbone": backbone, "quality": "qam"}))
    model = build(configuration).eval()
    save_model(model, tmp_path / "qdmn.ckpt", configuration)
    return tmp_path / "qdmn.ckpt", model


def test_qam_looks_at_the_memory_feature_of_mivos(tiny_mivos):
    network = tiny_mivos()
    record = QAMPlugin(network, MeanOfFeature, grid=7).memorize(network.query(IMAGE), MASKS)
    torch.testing.assert_close(record.quality, record.feature.mean(dim=(-3, -2, -1)))


def test_qam_looks_at_the_fused_value_of_stcn(tiny_stcn):
    plugin = QAMPlugin(tiny_stcn(), MeanOfFeature, grid=7)
    record = plugin.memorize(plugin.query(IMAGE), MASKS)
    assert (plugin.quality.channels, plugin.quality.grid) == (6, 7)
    torch.testing.assert_close(record.quality, record.value.mean(dim=(-3, -2, -1)))


def test_nothing_in_the_network_changes(tiny_mivos):
    network, plugin = tiny_mivos(), QAMPlugin(tiny_mivos(), QualityHead, grid=4)
    one, other = (model.memorize(model.query(IMAGE), MASKS) for model in (network, plugin))
    assert torch.equal(one.key, other.key)
    assert torch.equal(one.value, other.value)
    logits = [m.segment(m.query(IMAGE), Memory.stack([one]), MASKS) for m in (network, plugin)]
    assert torch.equal(*logits)
    assert (plugin.stride, plugin.pad_to, plugin.read) == (8, 8, plugin.network.read)


def test_a_frame_is_encoded_once_for_network_and_plugin(tiny_stcn):
    plugin, seen = QAMPlugin(tiny_stcn(), QualityHead, grid=4), []
    plugin.network.query_encoder.register_forward_hook(lambda *_: seen.append(1))
    query = plugin.query(IMAGE)
    plugin.segment(query, Memory.stack([plugin.memorize(query, MASKS)]), MASKS)
    assert len(seen) == 1


@pytest.mark.parametrize(("network", "channels"), [("tiny_mivos", 16), ("tiny_stcn", 6), ("tiny", 16)])
def test_channels_of_the_feature_are_found_and_the_network_stays_in_its_mode(request, network, channels):
    model = request.getfixturevalue(network)().train()
    assert feature_channels(model) == channels
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_value_of_a_model_without_feature_and_parameters_will_do():
    assert feature_channels(CopyFirst()) == 1


def test_the_plugins_weights_come_back(tmp_path, tiny_mivos):
    plugin = QAMPlugin(tiny_mivos(), QualityHead, grid=4)
    torch.save(plugin.state_dict(), tmp_path / "w.pth")
    other = QAMPlugin(tiny_mivos(), QualityHead, grid=4)
    nn.init.zeros_(other.quality.fc1.weight)
    report = load_weights(other, tmp_path / "w.pth")
    assert torch.equal(other.quality.fc1.weight, plugin.quality.fc1.weight)
    assert (report.missing, report.unexpected) == ((), ())


def test_weights_of_the_network_alone_start_a_plugin_whose_qam_is_reported_as_missing(tmp_path, tiny_mivos):
    network = tiny_mivos()
    nn.init.ones_(network.decoder.predict.weight)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    plugin = QAMPlugin(tiny_mivos(), QualityHead, grid=4)
    report = load_weights(plugin, tmp_path / "w.pth")
    assert torch.equal(plugin.network.decoder.predict.weight, network.decoder.predict.weight)
    assert {name.split(".")[0] for name in report.matched} == {"network"}
    assert set(report.missing) == {name for name in plugin.state_dict() if name.startswith("quality.")}


def test_borrowed_scores_are_those_of_the_qdmn(tiny_stcn, lender):
    path, qdmn = lender
    borrowed = BorrowedQAM(tiny_stcn(), path)
    query = borrowed.query(IMAGE)
    with torch.inference_mode():
        record = borrowed.memorize(query, MASKS)
        torch.testing.assert_close(record.quality, qdmn.memorize(query, MASKS).quality)
        assert torch.equal(record.value, borrowed.network.memorize(query, MASKS).value)


def test_borrowed_parts_are_not_trained(tiny_stcn, lender):
    borrowed = BorrowedQAM(tiny_stcn(), lender[0])
    trained = {name.split(".")[0] for name, parameter in borrowed.named_parameters() if parameter.requires_grad}
    assert trained == {"network"}


def test_a_checkpoint_of_the_network_alone_is_complete_where_qam_is_borrowed(tmp_path, tiny_stcn, lender):
    network = tiny_stcn()
    nn.init.ones_(network.decoder.predict.weight)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    borrowed = BorrowedQAM(tiny_stcn(), lender[0])
    report = load_weights(borrowed, tmp_path / "w.pth")
    assert report.missing == ()
    assert torch.equal(borrowed.network.decoder.predict.weight, network.decoder.predict.weight)
    assert torch.equal(borrowed.quality.fc1.weight, lender[1].quality.fc1.weight)


def test_a_checkpoint_of_the_network_alone_loads_by_the_name_of_the_plugin_on_it(tmp_path, lender):
    configuration = without_sources(compose("stcn_small", {}))
    network = build(configuration)
    save_model(network, tmp_path / "stcn.ckpt", configuration)
    borrowed = load_model("qam_borrowed", tmp_path / "stcn.ckpt", network=compose("stcn_small", {}), source=lender[0])
    assert all(torch.equal(value, borrowed.network.state_dict()[key]) for key, value in network.state_dict().items())


def test_images_fit_the_network_and_the_lender(tiny_stcn, lender):
    network = tiny_stcn()
    network.pad_to = 12
    assert BorrowedQAM(network, lender[0]).pad_to == 48  # the lender's stride is 16


def test_without_a_source_nothing_is_borrowed(tiny_stcn):
    with pytest.raises(InputError, match=r"no QAM to borrow; give model\.source=FILE"):
        BorrowedQAM(tiny_stcn(), None)


def test_a_qdmn_without_qam_lends_nothing(tmp_path, tiny_stcn):
    options = {"quality": compose("qdmn_small", {"quality": "none"})["quality"]}
    configuration = without_sources({**compose("qdmn_small", {}), **options})
    save_model(build(configuration), tmp_path / "plain.ckpt", configuration)
    with pytest.raises(InputError, match="its QDMN has no QAM to borrow; give one trained with model/quality=qam"):
        BorrowedQAM(tiny_stcn(), tmp_path / "plain.ckpt")


def test_a_qdmn_whose_qam_was_never_trained_lends_nothing(tmp_path, tiny_stcn, lender):
    path, model = lender
    configuration = read_weights(path).configuration
    save_model(model, tmp_path / "fresh.ckpt", configuration, ["quality.fc1.weight"])
    with pytest.raises(InputError, match=r"fresh\.ckpt: holds nothing trained for quality \(1 tensors"):
        BorrowedQAM(tiny_stcn(), tmp_path / "fresh.ckpt")


def test_a_plugin_without_qam_accepts_all(tiny_mivos):
    plugin = QAMPlugin(tiny_mivos(), AcceptAll)
    assert plugin.memorize(plugin.query(IMAGE), MASKS).quality.unique().tolist() == [1.0]


def test_quality_loss_may_reach_the_network_through_the_feature(tiny_mivos):
    plugin = QAMPlugin(tiny_mivos(), partial(QualityHead, norm="group"), grid=4)
    plugin.memorize(plugin.query(IMAGE), MASKS).quality.sum().backward()
    assert plugin.network.memory_encoder.trunk.conv1.weight.grad is not None


def test_a_saved_plugin_comes_back_by_name_with_the_network_it_was_on(tmp_path):
    configuration = compose("qam_plugin_small", {"network": compose("stcn_small", {}), "grid": 4})
    plugin = build(without_sources(configuration))
    save_model(plugin, tmp_path / "w.safetensors", configuration)
    loaded = load_model("qam_plugin", tmp_path / "w.safetensors")
    assert type(loaded.network).__name__ == "STCN"
    assert torch.equal(loaded.quality.fc1.weight, plugin.quality.fc1.weight)


class Finds(CopyFirst):
    """A network that finds something beside its logits, and has proposals."""

    proposals, matcher = "a source", "a matcher"

    def follow(self, query, memory, previous):
        return self.segment(query, memory, previous), "found"


def test_what_the_network_finds_comes_through():
    plugin = QAMPlugin(Finds(), AcceptAll)
    record = plugin.memorize(plugin.query(IMAGE), MASKS)
    assert plugin.follow(plugin.query(IMAGE), Memory.stack([record]), MASKS)[1] == "found"
    assert (plugin.proposals, plugin.matcher, plugin.read) == ("a source", "a matcher", None)
