from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from memvos.decode.propagate import Segmenter
from memvos.decode.settings import _preset, bank_options, presets, with_read
from memvos.errors import InputError
from memvos.memory import MemoryBank
from memvos.model.memory_read import Kernel, MemoryRead, Softmax, TopK
from memvos.model.plugin import QAMPlugin
from memvos.model.qam import AcceptAll


@pytest.fixture
def reader(painted):
    painted.read = MemoryRead(TopK(50))
    return painted


def test_every_preset_makes_a_bank():
    assert {"qdmn", "qdmn_released_davis", "qdmn_released_youtube", "every_5", "all", "first", "previous"} <= set(
        presets()
    )
    for name in presets():
        MemoryBank(**bank_options(name))


def test_the_paper_is_the_default_and_lists_every_option():
    assert bank_options("qdmn") == MemoryBank().options


def test_a_preset_is_the_papers_but_for_what_it_says():
    def differing(name):
        return {key: value for key, value in bank_options(name).items() if value != bank_options("qdmn")[key]}

    assert differing("every_5_no_previous") == {"sigma": None, "beta": None, "keep_previous": False}
    assert differing("previous") == {"every": None, "sigma": None, "beta": None, "keep_annotated": False}
    assert differing("qdmn_released_youtube") == {
        "sigma": 0.75,
        "beta": 10,
        "evict": "released",
        "average": "nonzero",
        "reference": "first_predicted",
        "reference_average": "nonzero",
        "eviction_score": "raw",
        "restart": True,
        "degenerate": "reject",
    }


def test_presets_may_be_asked_for_in_several_threads_at_once():
    _preset.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(bank_options, ["first", "qdmn", "all", "every_5"]))
    assert [options["every"] for options in found] == [None, 5, 1, 5]


def test_the_options_of_a_preset_may_be_changed():
    bank_options("qdmn")["sigma"] = 0.1
    assert bank_options("qdmn")["sigma"] == 0.8


def test_unknown_preset_lists_the_known_ones(painted):
    with pytest.raises(InputError, match=r"unknown memory preset 'qdnm'; known: all, every_5, .*qdmn"):
        Segmenter(painted, "qdnm")


def test_overrides_win_over_the_preset(painted):
    bank = Segmenter(painted, "qdmn", device="cpu", sigma=None, beta=None, every=3).bank
    assert (bank.sigma, bank.beta, bank.every) == (None, None, 3)


def test_unknown_override_lists_the_known_ones(painted):
    with pytest.raises(ValueError, match="unknown override topk; known: sigma, beta, every, top_k, kernel"):
        Segmenter(painted, topk=20)


@pytest.mark.parametrize(
    ("overrides", "kind", "sigma", "k"),
    [
        ({"top_k": 20}, TopK, None, 20),
        ({"top_k": None}, Softmax, None, None),
        ({"kernel": 5.6}, Kernel, 5.6, 50),
        ({"kernel": 5.6, "top_k": None}, Kernel, 5.6, None),
    ],
)
def test_read_settings_are_replaced(reader, overrides, kind, sigma, k):
    selection = Segmenter(reader, device="cpu", **overrides).model.read.selection
    assert isinstance(selection, kind)
    assert getattr(selection, "sigma", None) == sigma
    assert getattr(selection, "k", None) == k


def test_the_given_model_keeps_its_read_and_shares_its_weights(reader):
    other = with_read(reader, {"top_k": None})
    assert isinstance(reader.read.selection, TopK)
    assert other.weight is reader.weight
    with torch.no_grad():
        reader.weight.fill_(3)
    assert other.weight.item() == 3


def test_a_model_without_a_read_has_no_read_settings(painted):
    with pytest.raises(InputError, match="Painted has no memory read to set top_k of"):
        Segmenter(painted, top_k=20)


@pytest.mark.parametrize("overrides", [{"top_k": 0}, {"kernel": -1.0}])
def test_read_settings_out_of_range_are_refused(reader, overrides):
    with pytest.raises(InputError, match=r"(above 0|from 1), or null \(None\) to switch it off"):
        Segmenter(reader, **overrides)


def test_the_read_of_a_plugins_network_is_replaced_and_both_stay_as_they_are(reader):
    plugin = QAMPlugin(reader, AcceptAll)
    other = with_read(plugin, {"top_k": 3})
    assert (other.read.selection.k, plugin.read.selection.k) == (3, 50)
    assert other.network.weight is reader.weight
