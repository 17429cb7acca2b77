import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from memvos.errors import InputError
from memvos.model.composition import (
    build,
    compose,
    model_names,
    needs_weights,
    part,
    part_names,
    targets,
    with_places,
    without_sources,
)
from memvos.model.memory_read import Kernel, Softmax
from memvos.model.pem import NoPrior, StrongPrior
from memvos.model.qam import AcceptAll
from memvos.paths import conf_dir


def small(**options):
    return build(compose("qdmn_small", options))


def test_the_published_configuration_is_the_published_network():
    model = build(without_sources(compose("qdmn", {})))
    assert sum(p.numel() for p in model.parameters()) == 104_508_556


@pytest.mark.parametrize("name", [name for name in model_names() if name.startswith("qdmn")])
def test_every_configuration_of_qdmn_builds(name):
    assert build(without_sources(compose(name, {}))) is not None


def test_only_the_floors_need_no_weights():
    names = ("qdmn", "stcn", "qam_plugin", "copy_first", "matching_medium")
    free = {name for name in names if not needs_weights(compose(name, {}))}
    assert free == {"copy_first", "matching_medium"}


@pytest.mark.parametrize("configuration", [{}, {"_target_": "no_module.Net"}, {"_target_": "builtins.dict"}])
def test_a_model_that_is_not_there_is_told(configuration):
    with pytest.raises(InputError, match=r"cannot find the model .*; expected _target_: module\.Class, of a VOSModel"):
        needs_weights(configuration)


@pytest.mark.parametrize("part", ["prior", "quality", "read", "backbone", "start"])
def test_every_choice_of_every_part_builds(part):
    assert part_names(part)
    for choice in part_names(part):
        build(without_sources(compose("qdmn_small", {part: choice})))


def test_parts_are_chosen_by_name_and_values_set():
    model = small(quality="none", prior="strong", read="kernel", key_channels=8)
    assert isinstance(model.quality, AcceptAll)
    assert isinstance(model.prior, StrongPrior)
    assert isinstance(model.read.selection, Kernel)
    assert model.query_projection.key.out_channels == 8


def test_the_released_head_has_relu_after_both_layers():
    assert compose("qdmn", {"quality": "qam_released"})["quality"]["activations"] == ["relu", "relu"]


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"unknown model 'qdnm'; known: .*qdmn.*; did you mean 'qdmn'\?"):
        compose("qdnm", {})
    with pytest.raises(InputError, match="unknown model None; known: "):
        compose(None, {})


def test_unknown_choices_and_options_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown quality 'qma'; known: none, qam"):
        compose("qdmn", {"quality": "qma"})
    with pytest.raises(InputError, match=r"unknown quality None; known: none, qam, .*; did you mean 'none'\?"):
        compose("qdmn", {"quality": None})
    with pytest.raises(InputError, match="unknown option colour of model 'qdmn'; known: backbone, "):
        compose("qdmn", {"colour": 3})
    with pytest.raises(InputError, match="unknown option colour of model 'qdmn', backbone; known: depth, "):
        compose("qdmn", {"backbone.colour": 3})
    with pytest.raises(InputError, match=r"unknown option grid\.colour of model 'qdmn'; known: backbone, "):
        compose("qdmn", {"grid.colour": 3})


def test_a_value_in_a_part_is_an_option_by_its_place():
    changed, own = compose("qdmn", {"backbone.weights": None, "read.selection.k": 7}), compose("qdmn", {})
    assert own["backbone"]["weights"] == "imagenet"
    assert changed["backbone"] == {**own["backbone"], "weights": None}
    assert changed["read"]["selection"] == {**own["read"]["selection"], "k": 7}


def test_chosen_places_are_put_into_the_configuration_of_a_checkpoint():
    stored = {**compose("qdmn_small", {"prior": "none"}), "key_channels": 5}
    model = build(with_places(stored, compose("qdmn_small", {"read": "softmax"}), ["read"]))
    assert isinstance(model.read.selection, Softmax)
    assert isinstance(model.prior, NoPrior)
    assert model.query_projection.key.out_channels == 5


def test_a_place_within_a_part_leaves_the_rest_of_the_part():
    one = {"read": {"k": 1, "c": 2}, "grid": 4, "quality": None}
    other = {"read": {"k": 7, "c": 8}, "grid": 5, "quality": {"norm": "group"}}
    assert with_places(one, other, ["read.k"]) == {"read": {"k": 7, "c": 2}, "grid": 4, "quality": None}
    assert with_places(one, other, ["quality.norm", "grid"]) == {**one, "quality": {"norm": "group"}, "grid": 5}
    assert with_places(one, {"read": {"c": 2}}, ["read.k", "grid"]) == {"read": {"c": 2}, "quality": None}
    assert one["read"]["k"] == 1


def test_a_part_has_the_configuration_of_its_name():
    assert part("quality", "qam_released") == compose("qdmn", {"quality": "qam_released"})["quality"]


def test_a_running_hydra_application_is_not_disturbed():
    with initialize_config_dir(str(conf_dir().resolve()), version_base="1.3"):
        running = GlobalHydra.instance().hydra
        compose("qdmn", {})
        assert GlobalHydra.instance().hydra is running
        assert "model" in hydra_compose("model/qdmn")


@pytest.mark.parametrize(
    "target",
    ["os.system", "memvos.model.checkpoints.torch.load", "memvos.model.nothing.Here", "memvos.paths.conf_dir", 7],
)
def test_a_configuration_may_only_name_classes_of_the_models(target):
    configuration = {**compose("qdmn_small", {}), "prior": {"_target_": target, "_partial_": True}}
    with pytest.raises(
        InputError, match=r"the configuration names .* only classes of memvos.model are made from a file"
    ):
        build(configuration)


def test_a_configuration_without_sources_fetches_and_starts_nothing():
    configuration = without_sources(compose("qdmn", {}))
    assert configuration["backbone"]["weights"] is None
    assert "start" not in configuration
    assert configuration["quality"] == compose("qdmn", {})["quality"]


def test_a_forbidden_class_is_found_inside_lists():
    with pytest.raises(InputError, match=r"the configuration names 'os.system'"):
        build({**compose("qdmn_small", {}), "aspp_rates": [{"_target_": "os.system"}]})


def test_a_class_that_the_caller_trusts_is_made():
    configuration = {**compose("qdmn_small", {}), "prior": {"_target_": "builtins.dict"}}
    with pytest.raises(InputError, match="cannot build the model: 'dict' object is not callable"):
        build(configuration, ["builtins.dict"])


def test_a_configuration_of_something_else_than_a_model_is_refused():
    with pytest.raises(InputError, match="expected the configuration of a VOSModel, got one of Softmax"):
        build({"_target_": "memvos.model.memory_read.Softmax"})


def test_what_a_part_refuses_is_told_in_its_own_words(tmp_path):
    with pytest.raises(InputError, match=r"^unknown QAM norm 'batch'; expected one of"):
        build({**compose("qdmn_small", {}), "quality": {**compose("qdmn", {})["quality"], "norm": "batch"}})
    missing = {**compose("qdmn", {})["backbone"], "weights": str(tmp_path / "none.pth")}
    with pytest.raises(FileNotFoundError, match=r"no weight file .*none.pth"):
        build({**compose("qdmn_small", {}), "backbone": missing})


def test_a_value_that_no_part_takes_is_one_line():
    with pytest.raises(InputError, match=r"cannot build the model: .*unexpected keyword argument 'colour'"):
        build({**compose("qdmn_small", {}), "colour": 3})


def test_targets_are_found_at_any_depth():
    config = {"_target_": "a.B", "parts": [{"_target_": "c.D", "inner": {"_target_": "e.F"}}], "size": 3}
    assert list(targets(config)) == ["a.B", "c.D", "e.F"]
