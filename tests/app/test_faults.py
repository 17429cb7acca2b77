"""Which errors are the user's, and what the one line says."""

import errno

import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch._utils import ExceptionWrapper

from memvos.app.faults import absent_group, explain, unknown_group, unknown_key
from memvos.data.files import MaskFault
from memvos.errors import InputError

CONFIG = OmegaConf.create({"model": {"key_channels": 3, "width": 2}, "seed": 0, "trainer": {"max_steps": 1}})


def failure(target: str, **arguments) -> Exception:
    try:
        instantiate({"_target_": target, **arguments})
    except InstantiationException as error:
        return error
    raise AssertionError("it was built")


def test_bad_input_is_explained_and_a_bug_is_not():
    assert explain(InputError("no masks\n  give some")) == "no masks; give some"
    assert explain(ZeroDivisionError("a bug")) is None
    assert explain(ValueError("somewhere deep in torch")) is None


def raised_again(error: Exception) -> Exception:
    """As the main process gets an error of a process that loads training clips."""
    try:
        raise error
    except InputError:
        wrapped = ExceptionWrapper(where="in DataLoader worker process 0")
    with pytest.raises(InputError) as caught:
        wrapped.reraise()
    return caught.value


@pytest.mark.parametrize("kind", [InputError, MaskFault])
def test_an_error_of_a_loading_process_is_its_message_alone(kind):
    assert explain(raised_again(kind("mask a.png is damaged; replace it"))) == "mask a.png is damaged; replace it"
    assert explain(kind("Caught in the rain")) == "Caught in the rain"


def test_missing_files_name_themselves():
    assert explain(FileNotFoundError(errno.ENOENT, "No such file", "/x")) == "/x: No such file"
    assert explain(FileNotFoundError("no weight file /x; give one")) == "no weight file /x; give one"


def test_a_full_disk_is_explained():
    full = "No space left on device"
    assert explain(OSError(errno.ENOSPC, full, "/x")) == f"cannot write /x: {full}; make room, or write elsewhere"
    assert explain(OSError(errno.ENOSPC, full)) == f"cannot write a file: {full}; make room, or write elsewhere"


def test_a_value_that_a_constructor_refuses_is_explained():
    assert explain(failure("memvos.losses.BootstrappedCrossEntropy", keep=-1.0)).count("\n") == 0


def test_an_argument_that_a_constructor_does_not_have_is_explained():
    line = explain(failure("memvos.losses.QualityLoss", nonsense=1))
    assert "unexpected keyword argument 'nonsense'" in line
    assert line.endswith("check the keys and values there")


def test_a_mapping_that_would_bring_new_keys_is_told_how_to_add_them():
    text = str(unknown_key("model", CONFIG))
    assert text == "'model' gets no new keys from a mapping; add each by itself: +model.NAME=VALUE"


def test_an_unknown_key_is_answered_with_the_known_ones_beside_it():
    text = str(unknown_key("model.key_chanels", CONFIG))
    assert text == (
        "unknown config key 'model.key_chanels'; did you mean 'model.key_channels'? "
        "Known under 'model': key_channels, width"
    )


def test_without_a_key_that_is_alike_the_sentence_ends_before_the_known_ones():
    assert str(unknown_key("model.xyz", CONFIG)) == (
        "unknown config key 'model.xyz'. Known under 'model': key_channels, width"
    )
    assert str(unknown_group("model/xyz", ["prior"])) == "unknown config group 'model/xyz'. Groups in model: prior"


def test_a_wrong_parent_is_what_is_named():
    assert "did you mean 'trainer'? Known at the top level: model, seed, trainer" in str(
        unknown_key("trainr.max_steps", CONFIG)
    )


def test_an_unknown_group_is_answered_with_the_groups():
    text = str(unknown_group("model/qualty", ["quality", "prior"]))
    assert text.endswith("did you mean model/quality? Groups in model: prior, quality")


def test_a_group_that_the_chosen_model_lacks_is_answered_with_its_own_parts():
    choices = {"model": "stcn", "model/read": "distance", "model/backbone": "resnet50", "data": "synthetic"}
    text = str(absent_group("model/prior", choices))
    assert text == "model=stcn has no part 'model/prior'; its own are model/backbone, model/read"


def test_a_group_that_lies_deeper_is_named_with_its_place():
    choices = {"model": "dmn_aoa", "model/alignment@model.matcher.alignment": "adaptive"}
    text = str(absent_group("model/alignment", choices))
    assert text.endswith("; did you mean model/alignment@model.matcher.alignment?")
