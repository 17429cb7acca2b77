"""Composing configurations: plain containers out, further ranks find their arguments, sweeps anywhere on the line."""

import sys

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig

from memvos.app import composition
from memvos.app.faults import UnknownKey


def anywhere(value, kinds) -> bool:
    if isinstance(value, kinds):
        return True
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(anywhere(entry, kinds) for entry in below)


def test_a_resolved_configuration_holds_plain_containers_only():
    settings = composition.resolved(composition.compose("train", ["scale=smoke", "output_dir=x"]))
    assert not anywhere(settings, (DictConfig, ListConfig))
    assert settings["data"]["pretrain"]["val"]["split"] == "val"


def test_the_stage_chooses_steps_batch_and_rate():
    overrides = ["scale=paper", "stage=pretrain", "output_dir=x"]
    settings = composition.resolved(composition.compose("train", overrides))
    assert settings["trainer"]["max_steps"] == 160000
    assert settings["batch_size"] == 28
    assert settings["optimizer"]["lr"] == 2.0e-5


def test_the_user_wins_over_the_scale_and_the_scale_over_the_groups():
    small = composition.compose("train", ["scale=mini"])
    assert small.model.backbone.width == 32
    assert composition.compose("train", ["scale=mini", "model=qdmn"]).model.key_channels == 128
    assert composition.compose("train", ["scale=mini", "data.size=96"]).data.size == 96


def test_evaluate_takes_the_overrides_of_train():
    assert composition.compose("evaluate", ["steps.main=7", "memory=every_5"]).memory.sigma is None


def test_an_unknown_key_raises_with_the_known_ones():
    with pytest.raises(UnknownKey, match="unknown config key 'sed'; did you mean 'seed'"):
        composition.compose("train", ["sed=1"])


def test_the_first_of_several_unknown_keys_is_told():
    with pytest.raises(UnknownKey, match="unknown config key 'sed'; did you mean 'seed'"):
        composition.compose("train", ["sed=1", "lerning_rate=2"])
    with pytest.raises(UnknownKey, match="has no part 'model/proposals'") as told:
        composition.compose("train", ["model/proposals=detector", "model.proposals.checkpoint=file", "gate=oracle"])
    assert told.value.key == "model/proposals"


def test_the_task_sees_the_whole_command_line(monkeypatch, home):
    monkeypatch.setattr(sys, "argv", ["memvos", "train", "seed=3", f"output_dir={home}"])
    seen = composition.launch("train", sys.argv[2:], lambda config: (config.seed, sys.argv[1:]))
    assert seen == (3, ["train", "seed=3", f"output_dir={home}"])


def test_an_error_of_the_task_comes_out_as_it_is(home):
    def task(config):
        raise ZeroDivisionError("as it is")

    with pytest.raises(ZeroDivisionError, match="as it is"):
        composition.launch("train", [f"output_dir={home}"], task)


def test_m_may_stand_anywhere(home):
    seen = []
    arguments = ["seed=1,2", "-m", f"hydra.sweep.dir={home}"]
    composition.launch("train", arguments, lambda config: seen.append(config.seed))
    assert seen == [1, 2]


def test_options_of_hydra_may_stand_anywhere_with_their_values():
    line = ["seed=1", "--config-dir", "mine", "--cfg=job", "memory=qdmn", "-c", "all", "-h", "--config-name"]
    options = ["--config-dir", "mine", "--cfg=job", "-c", "all", "-h", "--config-name"]
    assert composition.split_options(line) == (options, ["seed=1", "memory=qdmn"])


def test_ones_own_configurations_may_be_named_last(home):
    (home / "mine" / "model").mkdir(parents=True)
    (home / "mine" / "model" / "own.yaml").write_text("color: blue\n")
    arguments = ["model=own", f"output_dir={home}", "--config-dir", str(home / "mine")]
    assert composition.launch("train", arguments, lambda config: config.model.color) == "blue"


def test_a_path_with_quotes_and_spaces_survives_the_override_grammar():
    path = "/a folder/it's {odd}, [very]=x"
    assert composition.compose("train", [f"output_dir={composition.quoted(path)}"]).output_dir == path


@pytest.mark.parametrize("arguments", [["--cfg", "job"], ["--help"], ["seed=1"]])
def test_nothing_of_hydra_is_left_behind(home, arguments, capsys):
    composition.launch("train", [*arguments, f"output_dir={home}"], lambda config: None)
    assert not HydraConfig.initialized()


def test_the_places_that_overrides_change_are_named():
    overrides = ["model=stm", "model.a.b=1", "++model/c='x=y'", "model/x@model.d.e=y", "memory.sigma=0", "~model.f"]
    assert composition.places(overrides, "model") == ["a.b", "c", "d.e", "f"]
    assert composition.place(overrides[0]) == "model"
    assert composition.place(overrides[4]) == "memory.sigma"
