import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from memvos.data.submission import pack, validate
from memvos.data.youtube import YouTubeTree
from memvos.errors import InputError


@pytest.fixture
def tree(tiny_sets):
    return YouTubeTree(tiny_sets.make("youtube2019")[0].removeprefix("root="), "valid")


@pytest.fixture
def masks(tree, tmp_path):
    """Predictions of every frame."""
    return shutil.copytree(tree.root / "valid/Annotations", tmp_path / "masks")


def kinds(faults):
    return {fault.kind: fault.count for fault in faults}


def test_what_is_packed_is_ready_to_send(tree, masks, tmp_path):
    (masks / "v0/given.json").write_text("{}")
    path = pack(tree, masks, tmp_path / "out/send.zip")
    assert validate(tree, path) == []
    names = zipfile.ZipFile(path).namelist()
    assert len(names) == 12
    assert names[0] == "v0/00000.png"


def test_an_outer_folder_is_named(tree, masks, tmp_path):
    shutil.make_archive(str(tmp_path / "outer"), "zip", tmp_path, "masks")
    faults = validate(tree, tmp_path / "outer.zip")
    assert kinds(faults) == {"outer folder": 1}
    assert "everything lies in masks/" in faults[0].example


def test_every_other_fault_is_named(tree, masks, tmp_path):
    for name, labels in {
        "00000": np.zeros((9, 9)),
        "00005": np.full((48, 64), 2),
        "00010": np.zeros((48, 64, 3)),
    }.items():
        Image.fromarray(labels.astype(np.uint8)).save(masks / f"v1/{name}.png")
    (masks / "v1/00015.png").write_text("no image")
    (masks / "v1/00020.png").rename(masks / "v1/00021.png")
    shutil.make_archive(str(tmp_path / "send"), "zip", masks)
    assert kinds(validate(tree, tmp_path / "send.zip")) == {
        "missing frame": 1,
        "surplus file": 1,
        "sizes differ": 1,
        "unknown object id": 1,  # object 2 enters at 00010
        "not a palette PNG": 2,
    }


def test_what_cannot_be_packed_or_read_is_named(tree, masks, tmp_path):
    with pytest.raises(InputError, match=r"expected a name that ends in \.zip"):
        pack(tree, masks, tmp_path / "send.tar")
    (masks / "v1/00020.png").unlink()
    with pytest.raises(InputError, match=r"1 of 12 masks are missing in .*\(first: v1/00020\.png\)"):
        pack(tree, masks, tmp_path / "send.zip")
    with pytest.raises(InputError, match=r"cannot be read .*expected a zip of masks"):
        validate(tree, masks / "v1/00005.png")


def test_a_zip_that_is_damaged_or_encrypted_is_named(tree, tmp_path):
    with zipfile.ZipFile(tmp_path / "send.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("v0/00000.png", "x" * 1000)
    content = (tmp_path / "send.zip").read_bytes()
    places = {30 + len("v0/00000.png"): 7, content.index(b"PK\1\2") + 8: 1}  # the type of the first block; the flags
    for place, value in places.items():
        (tmp_path / "send.zip").write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
        with pytest.raises(InputError, match=r"send\.zip cannot be read .*expected a zip of masks; pack it again"):
            validate(tree, tmp_path / "send.zip")
