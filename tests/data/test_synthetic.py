"""The embedded benchmark on disk: written once, atomically, together; read as any other tree."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memvos.data import synthetic_store as store
from memvos.data.check import check
from memvos.data.synthetic import SyntheticTree, ensure_synthetic
from memvos.data.synthetic_clip import VERSION, render_clip
from memvos.data.trees import DavisTree
from memvos.errors import InputError

SMALL = {"difficulty": "easy", "split": "test", "clips": 4, "frames": 3, "size": (48, 64)}


def content(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder by its relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> dict[str, str]:
    """What an undisturbed rendering of SMALL consists of."""
    return content(ensure_synthetic(tmp_path_factory.mktemp("reference"), **SMALL))


def test_split_is_in_davis_layout_and_holds_the_rendered_clips(tmp_path):
    folder = ensure_synthetic(tmp_path, **SMALL)
    assert folder.name == f"v{VERSION}-easy-test-4x3-48x64-seed0"
    assert sorted(path.name for path in folder.iterdir()) == [
        "Annotations",
        "ImageSets",
        "JPEGImages",
        "attributes.json",
        "empty_frames.json",
        "fingerprint.json",
    ]
    videos = DavisTree(folder, "test").videos
    assert [video.name for video in videos] == [f"easy_test_{index:04d}" for index in range(4)]
    for index, video in enumerate(videos):
        clip = render_clip("easy", "test", index, 3, (48, 64))
        for t in range(3):
            assert np.array_equal(video.labels(t), clip.labels[t])
            assert np.abs(video.image(t).astype(int) - clip.images[t]).mean() < 8  # JPEG
    with Image.open(folder / "Annotations" / "48p" / "easy_test_0000" / "00000.png") as mask:
        assert mask.mode == "P"
        assert mask.getpalette()[:6] == [0, 0, 0, 128, 0, 0]


def test_first_clips_do_not_depend_on_the_number_of_clips(tmp_path):
    few, more = (ensure_synthetic(tmp_path, **{**SMALL, "clips": clips}) for clips in (1, 2))
    name = "JPEGImages/48p/easy_test_0000/00002.jpg"
    assert (few / name).read_bytes() == (more / name).read_bytes()


def test_split_is_rendered_once(tmp_path, monkeypatch):
    folder = ensure_synthetic(tmp_path, **SMALL)
    monkeypatch.setattr(store, "render_clip", None)
    assert ensure_synthetic(tmp_path, **SMALL) == folder


def test_interrupted_rendering_is_not_taken_for_complete_and_goes_on_with_the_missing_clips(
    tmp_path, monkeypatch, reference
):
    done = []

    def interrupted(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(args[2])
        return render_clip(*args)

    monkeypatch.setattr(store, "render_clip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_synthetic(tmp_path, **SMALL)
    assert not any(store.is_complete(folder) for folder in tmp_path.iterdir())
    assert [folder.name for folder in tmp_path.iterdir()] == [f"v{VERSION}-easy-test-4x3-48x64-seed0.partial"]

    def again(*args):
        assert args[2] not in done
        done.append(args[2])
        return render_clip(*args)

    monkeypatch.setattr(store, "render_clip", again)
    folder = ensure_synthetic(tmp_path, **SMALL)
    assert sorted(done) == [0, 1, 2, 3]
    assert content(folder) == reference
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("writer", ["_save_image", "_save_labels", "_dump"])
def test_clip_that_was_half_written_is_written_again(tmp_path, monkeypatch, reference, writer):
    original, calls = getattr(store, writer), []

    def killed(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(*args)

    monkeypatch.setattr(store, writer, killed)
    with pytest.raises(KeyboardInterrupt):
        ensure_synthetic(tmp_path, **SMALL)
    monkeypatch.setattr(store, writer, original)
    assert content(ensure_synthetic(tmp_path, **SMALL)) == reference


def test_rendering_that_another_process_finishes_meanwhile_is_used(tmp_path, monkeypatch, reference):
    others = []

    def overtaken(*args):
        if not others:
            others.append(1)  # while this process renders a clip, another one renders all and gives the folder its name
            others.append(ensure_synthetic(tmp_path, **SMALL))
        return render_clip(*args)

    monkeypatch.setattr(store, "render_clip", overtaken)
    folder = ensure_synthetic(tmp_path, **SMALL)
    assert others == [1, folder]
    assert content(folder) == reference
    assert list(tmp_path.iterdir()) == [folder]


def test_processes_that_ask_at_the_same_time_share_the_work_and_get_the_same_split(tmp_path, reference):
    code = f"from memvos.data.synthetic import ensure_synthetic as e; print(e({str(tmp_path)!r}, **{SMALL!r}))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=60)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    (folder,) = tmp_path.iterdir()
    assert answers == {str(folder)}
    assert content(folder) == reference  # also: fresh processes render the same bytes as this one


def test_several_workers_render_the_same_split(tmp_path, reference):
    assert content(ensure_synthetic(tmp_path, **SMALL, workers=2)) == reference


def test_folder_that_cannot_be_written_names_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write the embedded benchmark to .*set MEMVOS_CACHE=FOLDER"):
        ensure_synthetic(tmp_path / "file" / "cache", **SMALL)


def test_full_disk_names_the_remedy(tmp_path, monkeypatch):
    def full(path, image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_save_image", full)
    with pytest.raises(InputError, match=r"No space left on device.*has room; set MEMVOS_CACHE=FOLDER"):
        ensure_synthetic(tmp_path, **SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"difficulty": "mild"}, "expected one of easy, normal, hard"),
        ({"split": "dev"}, "expected one of train, val, test"),
        ({"clips": 0}, "got clips=0.*expected at least 1 clip"),
        ({"frames": 1}, "got .*frames=1.*2 frames"),
        ({"seed": -1}, "got .*seed=-1.*a seed of 0 or more"),
        ({"size": (32, 64)}, r"got size \(H, W\) = \(32, 64\); expected sides of at least 48 pixels"),
        ({"size": (48, 200)}, "the longer at most 3 times the shorter"),
        ({"backgrounds": "/nowhere"}, "got 0 images in backgrounds=/nowhere; expected a folder of at least 5"),
    ],
)
def test_setting_out_of_range_is_told_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        ensure_synthetic(tmp_path, **{**SMALL, **change})
    assert not list(tmp_path.iterdir())


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


def test_other_photographs_are_another_benchmark(tmp_path):
    for index in range(5):
        Image.fromarray(np.full((60, 60 + index, 3), 50 * index, np.uint8)).save(tmp_path / f"{index}.png")
    first = ensure_synthetic(tmp_path / "cache", **SMALL, backgrounds=tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)).save(tmp_path / "4.png")
    assert ensure_synthetic(tmp_path / "cache", **SMALL, backgrounds=tmp_path) != first


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


def test_empty_frame_is_no_still(tmp_path):
    folder = ensure_synthetic(tmp_path, **SMALL)
    empty = json.loads((folder / "empty_frames.json").read_text())
    empty["easy_test_0001"] = [0]
    (folder / "empty_frames.json").write_text(json.dumps(empty))
    tree = SyntheticTree(**SMALL, cache=tmp_path, still_every=2)
    assert [still.name for still in tree.images[:3]] == [
        "easy_test_0000/00000",
        "easy_test_0000/00002",
        "easy_test_0001/00002",
    ]


def test_fingerprint_depends_on_the_settings_and_not_on_the_place(tmp_path):
    settings = {**SMALL, "clips": 1}
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


def test_distance_of_stills_must_be_a_frame_or_more(tmp_path):
    with pytest.raises(InputError, match="got still_every=0; expected a distance of at least 1 frame"):
        SyntheticTree(**SMALL, cache=tmp_path, still_every=0)


def test_clips_are_kept_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMVOS_CACHE", str(tmp_path))
    assert SyntheticTree(**SMALL).root.parent == tmp_path / "synthetic"
