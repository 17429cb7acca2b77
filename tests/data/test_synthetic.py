"""The embedded benchmark on disk: rendered once, read as any other tree."""

import json

import numpy as np
import pytest
from PIL import Image

from memvos.data import synthetic_store as store
from memvos.data.check import check
from memvos.data.synthetic import SyntheticTree, ensure_synthetic
from memvos.errors import InputError


def test_first_clips_do_not_depend_on_the_number_of_clips(tmp_path, small):
    few, more = (ensure_synthetic(tmp_path, **{**small, "clips": clips}) for clips in (1, 2))
    name = "JPEGImages/48p/easy_test_0000/00002.jpg"
    assert (few / name).read_bytes() == (more / name).read_bytes()


def test_split_is_rendered_once(tmp_path, monkeypatch, small):
    folder = ensure_synthetic(tmp_path, **small)
    monkeypatch.setattr(store, "render_clip", None)
    assert ensure_synthetic(tmp_path, **small) == folder


def test_several_workers_render_the_same_split(tmp_path, reference, small, content):
    assert content(ensure_synthetic(tmp_path, **small, workers=2)) == reference


def test_setting_out_of_range_is_told_before_anything_is_written(tmp_path, small):
    with pytest.raises(InputError, match=r"got clips=0.*expected at least 1 clip"):
        ensure_synthetic(tmp_path, **{**small, "clips": 0})
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_written_names_the_remedy(tmp_path, small):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write the embedded benchmark to .*set MEMVOS_CACHE=FOLDER"):
        ensure_synthetic(tmp_path / "file" / "cache", **small)


def test_full_disk_names_the_remedy(tmp_path, monkeypatch, small):
    def full(path, image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_save_image", full)
    with pytest.raises(InputError, match=r"No space left on device.*has room; set MEMVOS_CACHE=FOLDER"):
        ensure_synthetic(tmp_path, **small)


def test_splits_take_their_backgrounds_from_different_photographs(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(5):
        Image.fromarray(np.full((100, 100, 3), 50 * index, np.uint8)).save(photos / f"{index}.png")
    greys = {}
    for split in ("train", "val", "test"):
        tree = SyntheticTree(split=split, clips=3, frames=2, size=(64, 64), cache=tmp_path, backgrounds=photos)
        assert "-photos" in tree.root.name
        backgrounds = [np.median(v.image(0)[v.labels(0) == 0], axis=0) for v in tree.videos]
        greys[split] = {int(np.rint(np.median(colour) / 50)) for colour in backgrounds}
    assert greys["train"] <= {0, 1, 2}
    assert greys["val"] == {3}
    assert greys["test"] == {4}


def test_tree_carries_the_attributes_and_is_free_of_faults(tmp_path):
    tree = SyntheticTree(difficulty="normal", split="val", clips=4, frames=8, size=(64, 64), cache=tmp_path)
    assert check(tree) == []
    recorded = json.loads((tree.root / "attributes.json").read_text())
    assert {video.name: list(video.attributes) for video in tree.videos} == recorded
    assert any(video.attributes for video in tree.videos)
    assert all(video.object_ids == tuple(range(1, len(video.object_ids) + 1)) for video in tree.videos)


def test_every_kth_frame_that_holds_an_object_is_a_still(tmp_path):
    tree = SyntheticTree(split="train", clips=3, frames=8, size=(48, 48), cache=tmp_path, still_every=3)
    assert [still.name for still in tree.images[:3]] == [f"easy_train_0000/{t:05d}" for t in (0, 3, 6)]
    assert tree.stills() == tree.images
    assert all(still.labels().any() for still in tree.images)
    assert len(tree.files()) == 3 * 8 * 2


def test_empty_frame_is_no_still(tmp_path, small):
    folder = ensure_synthetic(tmp_path, **small)
    empty = json.loads((folder / "empty_frames.json").read_text())
    empty["easy_test_0001"] = [0]
    (folder / "empty_frames.json").write_text(json.dumps(empty))
    tree = SyntheticTree(**small, cache=tmp_path, still_every=2)
    assert [still.name for still in tree.images[:3]] == [
        "easy_test_0000/00000",
        "easy_test_0000/00002",
        "easy_test_0001/00002",
    ]


def test_fingerprint_depends_on_the_settings_and_not_on_the_place(tmp_path, small):
    settings = {**small, "clips": 1}
    here, there = (SyntheticTree(**settings, cache=tmp_path / place).fingerprint() for place in "ab")
    changes = (
        {"seed": 1},
        {"frames": 2},
        {"split": "val"},
        {"difficulty": "hard"},
        {"size": (48, 48)},
        {"still_every": 2},
    )
    others = {SyntheticTree(**{**settings, **change}, cache=tmp_path / "a").fingerprint() for change in changes}
    assert here == there
    assert len({here, *others}) == 1 + len(changes)


def test_distance_of_stills_must_be_a_frame_or_more(tmp_path, small):
    with pytest.raises(InputError, match="got still_every=0; expected a distance of at least 1 frame"):
        SyntheticTree(**small, cache=tmp_path, still_every=0)


def test_clips_are_kept_in_the_users_cache(tmp_path, monkeypatch, small):
    monkeypatch.setenv("MEMVOS_CACHE", str(tmp_path))
    assert SyntheticTree(**small).root.parent == tmp_path / "synthetic"
