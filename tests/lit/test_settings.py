import os
import zlib
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from memvos.lit.settings import settings_of
from memvos.model.proposal_cache import CachedProposals
from memvos.model.proposal_sources import DetectorProposals, NoProposals


class Part:
    """Something that is set to a value, and knows a secret."""

    def __init__(self, value) -> None:
        self.value, self._secret = value, object()


NAME = f"{Part.__module__}.Part"


def test_another_source_of_proposals_has_other_settings(tmp_path):
    (tmp_path / "detector.ckpt").write_bytes(b"one")
    (tmp_path / "kept").mkdir()
    file, folder = tmp_path / "detector.ckpt", tmp_path / "kept"
    sources = [
        NoProposals(),
        DetectorProposals(partial(torch.nn.Identity, 1), file),
        DetectorProposals(partial(torch.nn.Identity, 2), file),
        DetectorProposals(partial(torch.nn.Identity, 2), str(file), most=20),
        CachedProposals(folder),
        settings_of,
    ]
    known = [settings_of(source) for source in sources]
    assert all(known.count(settings) == 1 for settings in known)
    file.write_bytes(b"another")
    (folder / "video0.npz").write_bytes(b"new")
    same = [settings_of(source) == before for source, before in zip(sources, known, strict=True)]
    assert same == [True, False, False, False, False, True]  # all but those that read no file and no folder


def test_plain_values_stand_for_themselves():
    assert settings_of([None, True, 3, 0.5, "relu", ()]) == [None, True, 3, 0.5, ["relu"], []]
    assert settings_of({"a": (1, 2), 3: {"b": None}}) == {"a": [1, 2], "3": {"b": None}}
    assert settings_of("") == [""]


def test_files_stand_by_name_size_and_time(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"12345")
    os.utime(tmp_path / "w.pth", ns=(7, 7))
    expected = [str(tmp_path / "w.pth"), ["w.pth", 5, 7]]
    assert settings_of(tmp_path / "w.pth") == settings_of(str(tmp_path / "w.pth")) == expected
    assert settings_of(tmp_path) == [str(tmp_path), ["w.pth", 5, 7]]
    assert settings_of(tmp_path / "nothing") == [str(tmp_path / "nothing")]


@pytest.mark.parametrize("text", ["a" * 5000, "a\0b"])
def test_a_text_that_can_be_no_path_stands_for_itself(text):
    assert settings_of(text) == [text]


@pytest.mark.parametrize("make", [torch.tensor, np.array])
def test_arrays_stand_by_a_sum_of_their_bytes(make):
    one = make([[1.0, 2.0], [3.0, 4.0]])
    assert settings_of(one) == zlib.crc32(
        np.array([1.0, 2, 3, 4], one.numpy().dtype if make is torch.tensor else float)
    )
    assert settings_of(one) != settings_of(make([[1.0, 2.0], [3.0, 5.0]]))
    assert settings_of(one.T) == settings_of(make([[1.0, 3.0], [2.0, 4.0]]))


def test_classes_and_functions_stand_by_name():
    assert settings_of(Part) == NAME
    assert settings_of(settings_of) == "memvos.lit.settings.settings_of"
    assert settings_of(partial(Part, 3, key="a")) == [NAME, [3], {"key": ["a"]}]


def test_objects_stand_by_class_and_public_attributes():
    assert settings_of(Part(Part(3))) == [NAME, {"value": [NAME, {"value": 3}]}]
    assert settings_of(Part(3)) == settings_of(Part(3)) != settings_of(Part(4))


def test_weights_and_the_mode_of_a_network_are_left_out():
    network = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))
    before = settings_of(network)
    with torch.no_grad():
        network[0].weight += 1
    assert settings_of(network.eval()) == before
    assert settings_of(nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.4))) != before
    assert settings_of(nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5))) != before
    assert settings_of(nn.Sequential(nn.Linear(2, 3))) != before
