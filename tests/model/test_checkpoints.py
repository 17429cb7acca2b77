import pytest
import torch

import memvos
from memvos.errors import InputError
from memvos.model.backbone import ResNet
from memvos.model.checkpoints import (
    import_backbone,
    import_checkpoint,
    load_checkpoint,
    load_configured,
    load_model,
    load_weights,
    save_model,
)
from memvos.model.composition import build, compose, without_sources
from memvos.model.layouts import MIVOS_RELEASED, QDMN_RELEASED, STCN_RELEASED

NARROW = {"key_channels": 4, "value_channels": 8, "decoder_width": 8, "aspp_width": 8, "grid": 4, "start": "as_is"}
OPTIONS = {
    **NARROW,
    "backbone": {"_target_": "memvos.model.backbone.ResNet", "_partial_": True, "depth": 18, "width": 4},
}
PARTS = {"quality": "qam_released", "aspp_rates": [6, 12, 18]}
SAVED = {**OPTIONS, **PARTS, "backbone": {**OPTIONS["backbone"], "conv_bias": True}}


@pytest.fixture
def configuration():
    """A narrow network with all parts of the released one, conv biases included."""
    torch.manual_seed(0)
    return compose("qdmn_small", SAVED)


@pytest.fixture
def model(configuration):
    return build(configuration)


def equal(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def released(model, layout=QDMN_RELEASED):
    return {layout.released(name): tensor for name, tensor in model.state_dict().items()}


def reload(configuration, path, training=False, **changes):
    torch.manual_seed(1)
    changed = {**configuration, **changes}
    fresh = build(changed)
    return fresh, load_weights(fresh, path, changed, training)


def test_a_model_without_weights_is_ready_for_inference():
    model = memvos.load_model("qdmn_small", quality="none")
    assert not model.training


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_a_saved_network_comes_back_by_name_with_its_own_configuration(tmp_path, model, configuration, suffix):
    save_model(model, tmp_path / f"w{suffix}", configuration)
    loaded = load_model("qdmn_small", tmp_path / f"w{suffix}")
    assert equal(loaded, model)
    assert not loaded.training


def test_a_checkpoint_of_a_training_loads_by_its_prefix(tmp_path, model, configuration):
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    content = {"state_dict": {**state, "loss.weight": torch.ones(1)}, "hyper_parameters": {"model": configuration}}
    torch.save({**content, "epoch": 3, "optimizer_states": []}, tmp_path / "last.ckpt")
    loaded, report, stored = load_checkpoint("qdmn_small", tmp_path / "last.ckpt")
    assert equal(loaded, model)
    assert len(report.matched) == len(model.state_dict())
    assert (report.missing, report.unexpected) == ((), ())
    assert stored == configuration


def test_loading_fetches_no_backbone_weights(tmp_path, model, configuration):
    stored = {**configuration, "backbone": {**configuration["backbone"], "weights": "nowhere.pth"}}
    save_model(model, tmp_path / "w.ckpt", stored)
    assert equal(load_model("qdmn_small", tmp_path / "w.ckpt"), model)


def test_a_checkpoint_may_be_read_in_another_way(tmp_path, model, configuration):
    save_model(model, tmp_path / "w.ckpt", configuration)
    assert load_model("qdmn_small", tmp_path / "w.ckpt", read="kernel").read.selection.sigma == 5.6


def test_a_checkpoint_of_another_kind_of_model_is_refused_by_name(tmp_path, model, configuration):
    save_model(model, tmp_path / "w.ckpt", {**configuration, "_target_": "memvos.model.other.Other"})
    with pytest.raises(
        InputError, match=r"holds a memvos.model.other.Other, the chosen model is a memvos.model.qdmn.QDMN"
    ):
        load_model("qdmn_small", tmp_path / "w.ckpt")


@pytest.mark.parametrize(
    "wrap", [dict, lambda s: {"network": s, "it": 5}, lambda s: {f"module.{k}": v for k, v in s.items()}]
)
def test_released_names_load_in_every_wrapping(tmp_path, model, configuration, wrap):
    torch.save(wrap(released(model)), tmp_path / "w.pth")
    loaded, report = reload(configuration, tmp_path / "w.pth")
    assert equal(loaded, model)
    assert report.renamed["concat_conv.weight"] == "prior.gate.weight"
    assert (report.missing, report.unexpected) == ((), ())


def test_released_names_go_out_again(tmp_path, model, configuration):
    save_model(model, tmp_path / "w.pth", configuration)
    written = torch.load(tmp_path / "w.pth", weights_only=True)
    assert all(torch.equal(written[name], tensor) for name, tensor in released(model).items())


@pytest.fixture
def single_object(tmp_path, model):
    """A released checkpoint of the single-object stage: its stem knows no other objects."""
    state = released(model)
    state["mask_rgb_encoder.conv1.weight"] = state["mask_rgb_encoder.conv1.weight"][:, :4]
    torch.save(state, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_a_stem_of_the_single_object_stage_gains_zeros_which_change_nothing(single_object, model, configuration):
    loaded, report = reload(configuration, single_object)
    assert loaded.memory_encoder.trunk.conv1.weight[:, 4].count_nonzero() == 0
    assert report.missing == ("memory_encoder.trunk.conv1.weight[:, 4:]",)
    assert equal(loaded, reload(configuration, single_object)[0])


def test_a_training_starts_it_with_an_orthogonal_channel(single_object, model, configuration):
    stem = reload(configuration, single_object, training=True)[0].memory_encoder.trunk.conv1.weight
    assert torch.equal(stem[:, :4], model.memory_encoder.trunk.conv1.weight[:, :4])
    rows = stem[:, 4].flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(4), rtol=0, atol=1e-5)


def test_a_stem_without_a_channel_for_the_mask_is_refused(single_object, model, configuration):
    state = torch.load(single_object, weights_only=True)
    state["mask_rgb_encoder.conv1.weight"] = state["mask_rgb_encoder.conv1.weight"][:, :3]
    torch.save(state, single_object)
    with pytest.raises(
        InputError, match=r"trunk\.conv1\.weight has 3 input channels, expected 5, or 4 .*; give weights"
    ):
        reload(configuration, single_object)


def test_a_stem_that_is_no_convolution_is_refused(single_object, model, configuration):
    state = torch.load(single_object, weights_only=True)
    state["mask_rgb_encoder.conv1.weight"] = state["mask_rgb_encoder.conv1.weight"].flatten()
    torch.save(state, single_object)
    with pytest.raises(
        InputError, match=r"memory_encoder\.trunk\.conv1\.weight has shape \(784,\), expected \(4, 5, 7, 7\)"
    ):
        reload(configuration, single_object)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_it_starts_so_from_imported_weights_too(tmp_path, suffix):
    source, imported = tmp_path / "w.pth", tmp_path / f"w{suffix}"
    options = {**PARTS, "backbone.output_stride": 16}
    model, name = load_model("qdmn_small", **options), "memory_encoder.trunk.conv1.weight"
    state = released(model)
    torch.save({**state, QDMN_RELEASED.released(name): state[QDMN_RELEASED.released(name)][:, :4]}, source)
    taken, report, configuration = load_checkpoint("qdmn_small", source, options)
    save_model(taken, imported, configuration, report.missing)
    again = load_model("qdmn_small", **options)
    stem = again.memory_encoder.trunk.conv1.weight
    for training, gram in ((False, torch.zeros(len(stem), len(stem))), (True, torch.eye(len(stem)))):
        assert load_weights(again, imported, training=training).missing == (f"{name}[:, 4:]",)
        assert torch.equal(stem[:, :4], model.state_dict()[name][:, :4])
        rows = stem[:, 4].flatten(1)
        torch.testing.assert_close(rows @ rows.T, gram, rtol=0, atol=1e-5)


def test_what_is_neutral_goes_out_in_released_names(tmp_path, model, configuration):
    fresh = ["memory_encoder.trunk.conv1.weight[:, 4:]", "query_encoder.trunk.conv1.bias"]
    save_model(model, tmp_path / "w.pth", configuration, fresh)
    assert equal(reload(configuration, tmp_path / "w.pth")[0], model)


@pytest.fixture
def of_mivos(tmp_path, model):
    """A checkpoint in MiVOS's layout, which has no ASPP, QAM and PEM."""
    state = {
        MIVOS_RELEASED.released(name): tensor
        for name, tensor in model.state_dict().items()
        if not MIVOS_RELEASED.may_lack(name)
    }
    torch.save(state, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_mivos_weights_start_a_network_whose_other_parts_stay_fresh(of_mivos, model, configuration):
    loaded, report = reload(configuration, of_mivos)
    assert torch.equal(loaded.decoder.predict.weight, model.decoder.predict.weight)
    assert loaded.query_encoder.trunk.conv1.bias.count_nonzero() == 0
    assert not torch.equal(loaded.aspp.fuse.conv.weight, model.aspp.fuse.conv.weight)
    parts = {name.split(".")[0] for name in report.missing}
    assert parts == {"query_encoder", "memory_encoder", "aspp", "quality", "prior"}
    assert {name.split(".")[-1] for name in report.missing if "memory_encoder" in name} == {"num_batches_tracked"}


def test_weights_that_leave_parts_untrained_are_refused_unless_that_is_asked_for(of_mivos, model):
    with pytest.raises(
        InputError,
        match=r"w\.pth: holds nothing trained for aspp, prior, quality \(\d+ tensors: aspp.*\); choose the model that "
        r"the weights are of \(of a MiVOS checkpoint: mivos\), .* memvos train weights=.*w\.pth",
    ):
        load_model("qdmn_small", of_mivos, **SAVED)
    loaded = load_model("qdmn_small", of_mivos, untrained=True, **SAVED)
    assert torch.equal(loaded.decoder.predict.weight, model.decoder.predict.weight)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_parts_that_an_import_left_untrained_are_refused_too(tmp_path, model, configuration, suffix):
    save_model(model, tmp_path / f"q{suffix}", configuration, ["quality.fc1.weight", "decoder.predict.bias"])
    with pytest.raises(
        InputError, match=r"holds nothing trained for decoder, quality \(2 tensors: decoder\.predict\.bias"
    ):
        load_model("qdmn", tmp_path / f"q{suffix}")
    assert equal(load_model("qdmn", tmp_path / f"q{suffix}", untrained=True), model)


def test_tensors_that_are_neutral_may_lack(tmp_path, single_object, model):
    assert load_model("qdmn_small", single_object, **SAVED).memory_encoder.trunk.conv1.weight.shape[1] == 5


def test_a_network_of_the_callers_own_comes_back_with_what_was_chosen(tmp_path, model, configuration):
    save_model(model, tmp_path / "w.ckpt", {**configuration, "prior": {"_target_": "tests.Prior"}})
    chosen = {**compose("qdmn_small", {"read": "kernel"}), "prior": configuration["prior"]}
    loaded, _, own = load_configured(chosen, tmp_path / "w.ckpt", ["read.selection", "prior"])
    assert equal(loaded, model)
    assert own["read"]["selection"] == chosen["read"]["selection"]
    with pytest.raises(InputError, match=r"names 'tests\.Prior', and only classes of memvos\.model"):
        load_configured(chosen, tmp_path / "w.ckpt")
    with pytest.raises(InputError, match=r"cannot build the model: .*tests"):  # it is made, if there were one
        load_configured(chosen, tmp_path / "w.ckpt", trusted=["tests.Prior"])


def test_the_name_decides_how_weights_of_stm_kmn_and_mivos_are_read(tmp_path):
    options = {key: value for key, value in OPTIONS.items() if key not in ("aspp_width", "grid")}
    stored = compose("stm_small", options)
    save_model(build(stored), tmp_path / "stm.ckpt", stored)
    for name, kind in (("stm", "Softmax"), ("kmn_small", "Kernel"), ("mivos", "TopK")):
        loaded, _, own = load_checkpoint(name, tmp_path / "stm.ckpt")
        assert type(loaded.read.selection).__name__ == kind
        assert own["key_channels"] == 4
        import_checkpoint(name, tmp_path / "stm.ckpt", tmp_path / f"{name}.ckpt")
        assert type(load_model(name, tmp_path / f"{name}.ckpt").read.selection).__name__ == kind
    assert type(load_model("stm", tmp_path / "stm.ckpt", read="kernel").read.selection).__name__ == "Kernel"


def test_a_read_of_the_same_kind_is_that_of_the_weights(tmp_path):
    options = {key: value for key, value in OPTIONS.items() if key not in ("aspp_width", "grid")}
    stored = compose("mivos_small", options)
    save_model(build(stored), tmp_path / "mivos.ckpt", stored)
    assert load_model("mivos", tmp_path / "mivos.ckpt").read.selection.k == 20


def test_a_network_that_was_not_chosen_is_read_as_its_weights_say(tmp_path):
    options = {key: value for key, value in OPTIONS.items() if key not in ("aspp_width", "grid")}
    stored = compose("kmn_small", options)
    save_model(build(stored), tmp_path / "kmn.ckpt", stored)
    for default in ("qdmn", "stm"):
        loaded, _, own = load_configured(compose(default, {}), tmp_path / "kmn.ckpt", any_network=True)
        assert type(loaded.read.selection).__name__ == "Kernel"
        assert own == stored


@pytest.mark.parametrize(
    ("option", "change", "told"),
    [
        (
            "template",
            {"whole_frames": True},
            "model.template.whole_frames=False, the network has True",
        ),
        ("refine", {"shared_skip": False}, "model.refine.shared_skip=True, the network has False"),
        (
            "matcher",
            {"alignment": {"_target_": "memvos.model.aoa.NoAlignment"}},
            r"alignment\._target_=.*Adaptive",
        ),
    ],
)
def test_settings_without_tensors_stay_as_they_were_trained(tmp_path, option, change, told):
    stored = compose("dmn_aoa_smoke", {})
    save_model(build(stored), tmp_path / "w.ckpt", stored)
    changed = {**stored, option: {**stored[option], **change}}
    with pytest.raises(InputError, match=f"was trained with .*{told}"):
        load_weights(build(changed), tmp_path / "w.ckpt", changed)


def test_parts_that_were_chosen_away_are_reported_and_left_out(tmp_path, model, configuration):
    torch.save(released(model), tmp_path / "w.pth")
    absent = compose("qdmn_small", {"quality": "none", "prior": "none"})
    loaded, report = reload(configuration, tmp_path / "w.pth", quality=absent["quality"], prior=absent["prior"])
    assert {name.split(".")[0] for name in report.unexpected} == {"quality", "prior"}
    assert torch.equal(loaded.decoder.predict.weight, model.decoder.predict.weight)


def test_another_prior_is_refused_with_what_is_missing_and_unexpected(tmp_path, model, configuration):
    torch.save(model.state_dict(), tmp_path / "w.pth")
    strong = compose("qdmn_small", {"prior": "strong"})["prior"]
    expected = r"does not fit QDMN: missing prior.join.bias, .*, unexpected prior.gate.bias, .*; choose the parts"
    with pytest.raises(InputError, match=expected):
        reload(configuration, tmp_path / "w.pth", prior=strong)


def test_a_released_head_is_not_read_through_other_activations(tmp_path, model, configuration):
    torch.save(released(model), tmp_path / "w.pth")
    with pytest.raises(
        InputError, match=r"has activations relu, relu, the network has relu, sigmoid; choose model/quality"
    ):
        reload(configuration, tmp_path / "w.pth", quality=compose("qdmn_small", {"quality": "qam"})["quality"])


FINE = {**SAVED["backbone"], "output_stride": 8}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"aspp_rates": [2, 4, 6]},
            r"aspp_rates \(6, 12, 18\), the network has \(2, 4, 6\); choose model\.aspp_rates=",
        ),
        ({"backbone": FINE}, "output_stride 16, the network has 8; choose output_stride=16 for its encoders"),
    ],
)
def test_a_released_network_is_not_read_on_another_grid(tmp_path, model, configuration, training, change, told):
    torch.save(released(model), tmp_path / "w.pth")
    with pytest.raises(InputError, match=rf"w\.pth: the released QDMN has {told}"):
        reload(configuration, tmp_path / "w.pth", training, **change)
    with pytest.raises(InputError, match=rf"w\.pth: the released QDMN has {told}"):
        load_model("qdmn_small", tmp_path / "w.pth", **{**SAVED, **change})


def test_mivos_weights_start_a_network_on_any_grid(of_mivos, model, configuration):
    loaded, _ = reload(configuration, of_mivos, training=True, aspp_rates=[2, 4, 6], backbone=FINE)
    assert (loaded.stride, loaded.aspp.rates) == (8, (2, 4, 6))
    assert torch.equal(loaded.decoder.predict.weight, model.decoder.predict.weight)


def test_a_missing_tensor_is_refused(tmp_path, model, configuration):
    state = released(model)
    del state["decoder.pred.bias"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"does not fit QDMN: missing decoder.predict.bias, unexpected nothing"):
        reload(configuration, tmp_path / "w.pth")


def test_weights_of_another_shape_are_refused_with_both_shapes(tmp_path, model, configuration):
    torch.save(model.state_dict(), tmp_path / "w.pth")
    expected = r"memory_projection.key.weight has shape \(4, 16, 3, 3\), expected \(6, 16, 3, 3\); choose the sizes"
    with pytest.raises(InputError, match=expected):
        reload(configuration, tmp_path / "w.pth", key_channels=6)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("key_encoder.conv1.weight", "STCN"),
        ("module.Encoder_M.conv1_m.weight", "STM"),
        ("layer1.0.conv1.weight", "a torchvision ResNet"),
        ("backbone.x", "another network"),
    ],
)
def test_a_checkpoint_of_another_architecture_is_one_clear_line(tmp_path, model, configuration, name, kind):
    torch.save({name: torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(
        InputError, match=f"a checkpoint of {kind} .*, QDMN takes one of memvos, the released QDMN, MiVOS"
    ) as e:
        reload(configuration, tmp_path / "w.pth")
    assert "\n" not in str(e.value)


def test_tensors_without_names_are_refused(tmp_path):
    torch.save({1: torch.ones(1)}, tmp_path / "net.pth")
    with pytest.raises(InputError, match="a checkpoint of another network"):
        load_model("qdmn_small", tmp_path / "net.pth")


def test_weights_that_are_no_numbers_are_refused(tmp_path, model, configuration):
    with torch.no_grad():
        model.memory_projection.key.bias[0] = float("nan")
    save_model(model, tmp_path / "net.ckpt", configuration)
    with pytest.raises(InputError, match=r"memory_projection\.key\.bias holds values that are no numbers"):
        load_model("qdmn_small", tmp_path / "net.ckpt")


@pytest.mark.parametrize("name", ["net.ckpt", "net.pth", "net.safetensors"])
def test_a_place_that_cannot_be_written_is_told(tmp_path, model, configuration, name):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"cannot write .*{name}"):
        save_model(model, tmp_path / name, configuration)


def test_a_network_with_parts_of_our_own_cannot_be_written_for_the_authors_code(tmp_path, configuration):
    strong = build({**configuration, "prior": compose("qdmn_small", {"prior": "strong"})["prior"]})
    with pytest.raises(InputError, match=r"'prior.mask1.weight' has no place in a checkpoint of the released QDMN"):
        save_model(strong, tmp_path / "w.pth", configuration)


def test_a_network_without_a_released_layout_is_written_in_our_own(tmp_path, model, configuration):
    model.layouts = ()
    with pytest.raises(InputError, match=r"QDMN has no released layout; write .ckpt or .safetensors"):
        save_model(model, tmp_path / "w.pth", configuration)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"quality": "qam"}, "activations relu, relu, the network has relu, sigmoid; write"),
        ({"quality": "qam_normed"}, "activations relu, relu, the network has relu, sigmoid; write"),
        ({"quality": "none", "prior": "none"}, r"parts that this network lacks \(concat_conv, score\); write"),
        ({"aspp_rates": [1, 2, 4]}, r"QDMN has aspp_rates \(6, 12, 18\), the network has \(1, 2, 4\); write"),
        (
            {"backbone": {**OPTIONS["backbone"], "output_stride": 8}},
            "QDMN has output_stride 16, the network has 8; write",
        ),
    ],
)
def test_what_the_authors_code_would_read_as_another_network_is_not_written_for_it(tmp_path, parts, message):
    changed = without_sources(compose("qdmn_small", {**OPTIONS, **PARTS, **parts}))
    with pytest.raises(InputError, match=message):
        save_model(build(changed), tmp_path / "w.pth", changed)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_weights_are_not_read_through_other_settings_than_they_were_trained_with(tmp_path, suffix):
    trained = without_sources(compose("qdmn_small", {**OPTIONS, "quality": "qam_released"}))
    save_model(build(trained), tmp_path / f"w{suffix}", trained)
    head = compose("qdmn_small", {"quality": "qam"})["quality"]
    expected = (
        r"trained with model.quality.activations=\['relu', 'relu'\], the network has \['relu', 'sigmoid'\]; choose"
    )
    with pytest.raises(InputError, match=expected):
        reload(trained, tmp_path / f"w{suffix}", quality=head)
    with pytest.raises(InputError, match=r"trained with model\.aspp_rates=\[.*\], the network has \[1, 2, 5\]"):
        reload(trained, tmp_path / f"w{suffix}", aspp_rates=[1, 2, 5])


def test_a_networks_own_settings_count_under_a_plugin_too(tmp_path):
    stm = without_sources(compose("stm_small", {}))
    save_model(build(stm), tmp_path / "w.ckpt", stm)
    plugin = without_sources(compose("qam_plugin_small", {}))
    backbone = {**plugin["network"]["backbone"], "output_stride": 4}
    other = {**plugin, "network": {**plugin["network"], "backbone": backbone}}
    with pytest.raises(InputError, match=r"trained with model\.network\.backbone\.output_stride=8, the network has 4"):
        load_weights(build(plugin), tmp_path / "w.ckpt", other)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_parts_that_an_import_left_fresh_stay_known_as_such(tmp_path, model, suffix):
    fresh = ("aspp.fuse.conv.weight", "quality.fc1.weight")
    save_model(model, tmp_path / f"q{suffix}", compose("qdmn_small", {**OPTIONS, **PARTS}), fresh)
    report = load_weights(model, tmp_path / f"q{suffix}")
    assert report.missing == fresh
    assert len(report.matched) == len(model.state_dict()) - 2
    with pytest.raises(InputError, match=r"were never trained; write \.ckpt"):
        save_model(model, tmp_path / "q.pth", {}, report.missing)


def test_an_unknown_suffix_is_refused_before_writing(tmp_path, model, configuration):
    with pytest.raises(InputError, match=r"unknown kind of weight file '.onnx'; write .ckpt, .safetensors or .pth"):
        save_model(model, tmp_path / "w.onnx", configuration)


@pytest.mark.slow
def test_an_import_and_export_of_the_released_size_returns_the_same_file(tmp_path):
    torch.manual_seed(0)
    configuration = compose("qdmn", {})
    network = build({**configuration, "backbone": {**configuration["backbone"], "weights": None}})
    torch.save(released(network), tmp_path / "released.pth")
    report = import_checkpoint("qdmn", tmp_path / "released.pth", tmp_path / "ours.safetensors")
    assert len(report.matched) == 690
    loaded, _, stored = load_checkpoint("qdmn", tmp_path / "ours.safetensors")
    assert stored["quality"]["activations"] == ["relu", "relu"]
    assert equal(loaded, network)


def test_the_backbone_of_a_training_starts_another_network(tmp_path, model, configuration):
    save_model(model, tmp_path / "trained.ckpt", configuration)
    report = import_backbone(tmp_path / "trained.ckpt", tmp_path / "trunk.safetensors")
    trunk = model.query_encoder.trunk
    again = ResNet(trunk.depth, width=trunk.width, conv_bias=True, weights=tmp_path / "trunk.safetensors")
    assert report.renamed["query_encoder.trunk.conv1.weight"] == "conv1.weight"
    assert torch.equal(again.conv1.weight, trunk.conv1.weight.half().float())


def test_a_backbone_has_its_own_kind_of_file_and_source(tmp_path, model, configuration):
    save_model(model, tmp_path / "trained.ckpt", configuration)
    with pytest.raises(InputError, match=r"a backbone is written as \.safetensors"):
        import_backbone(tmp_path / "trained.ckpt", tmp_path / "trunk.pth")
    torch.save({"some.weight": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="no query encoder of a memvos checkpoint"):
        import_backbone(tmp_path / "other.pth", tmp_path / "trunk.safetensors")


@pytest.mark.parametrize(
    ("name", "layout", "encoders"),
    [
        ("mivos_small", MIVOS_RELEASED, ["backbone"]),
        ("stcn_small", STCN_RELEASED, ["key_backbone", "value_backbone"]),
    ],
)
def test_released_baselines_go_in_and_out_with_every_tensor(tmp_path, name, layout, encoders):
    strides = {f"{encoder}.output_stride": 16 for encoder in encoders}
    sizes = {"key_channels": 4, "value_channels": 8, "decoder_width": 8}
    configuration = without_sources(compose(name, {**sizes, **strides}))
    model = build(configuration)
    save_model(model, tmp_path / "w.pth", configuration)
    assert torch.load(tmp_path / "w.pth", weights_only=True).keys() == released(model, layout).keys()
    loaded, report = reload(configuration, tmp_path / "w.pth")
    assert equal(loaded, model)
    assert (report.missing, report.unexpected) == ((), ())


def test_a_baseline_takes_no_released_qdmn(tmp_path, model):
    torch.save(released(model), tmp_path / "w.pth")
    stm = build(without_sources(compose("stm_small", {})))
    with pytest.raises(InputError, match=r"w\.pth: '.*' is not a tensor of MiVOS .*; choose the model"):
        load_weights(stm, tmp_path / "w.pth")


def test_stm_as_first_released_is_told_from_the_stm_of_the_tables(tmp_path):
    torch.save({"module.Encoder_M.conv1_m.weight": torch.zeros(64, 1, 7, 7)}, tmp_path / "STM_weights.pth")
    stm = build(without_sources(compose("stm_small", {})))
    with pytest.raises(
        InputError, match=r"a checkpoint of STM as first released \(another decoder .* takes one of memvos, MiVOS"
    ):
        load_weights(stm, tmp_path / "STM_weights.pth")
