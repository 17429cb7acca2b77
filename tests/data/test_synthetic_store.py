"""The embedded benchmark on disk: written once, atomically, by any number of processes together."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from memvos.data import synthetic_store as store
from memvos.data.synthetic import ensure_synthetic
from memvos.data.synthetic_clip import VERSION, RenderedClip, render_clip
from memvos.data.synthetic_recipe import Recipe
from memvos.data.trees import DavisTree


def test_split_is_in_davis_layout_and_holds_the_rendered_clips(tmp_path, small):
    folder = ensure_synthetic(tmp_path, **small)
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


def test_interrupted_rendering_is_not_taken_for_complete_and_goes_on_with_the_missing_clips(
    tmp_path, monkeypatch, reference, small, content
):
    done = []

    def interrupted(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(args[2])
        return render_clip(*args)

    monkeypatch.setattr(store, "render_clip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_synthetic(tmp_path, **small)
    assert not any(store.is_complete(folder) for folder in tmp_path.iterdir())
    assert [folder.name for folder in tmp_path.iterdir()] == [f"v{VERSION}-easy-test-4x3-48x64-seed0.partial"]

    def again(*args):
        assert args[2] not in done
        done.append(args[2])
        return render_clip(*args)

    monkeypatch.setattr(store, "render_clip", again)
    folder = ensure_synthetic(tmp_path, **small)
    assert sorted(done) == [0, 1, 2, 3]
    assert content(folder) == reference
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("writer", ["_save_image", "_save_labels", "_dump"])
def test_clip_that_was_half_written_is_written_again(tmp_path, monkeypatch, reference, writer, small, content):
    original, calls = getattr(store, writer), []

    def killed(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(*args)

    monkeypatch.setattr(store, writer, killed)
    with pytest.raises(KeyboardInterrupt):
        ensure_synthetic(tmp_path, **small)
    monkeypatch.setattr(store, writer, original)
    assert content(ensure_synthetic(tmp_path, **small)) == reference


def test_rendering_that_another_process_finishes_meanwhile_is_used(tmp_path, monkeypatch, reference, small, content):
    others = []

    def overtaken(*args):
        if not others:
            others.append(1)  # while this process renders a clip, another one renders all and gives the folder its name
            others.append(ensure_synthetic(tmp_path, **small))
        return render_clip(*args)

    monkeypatch.setattr(store, "render_clip", overtaken)
    folder = ensure_synthetic(tmp_path, **small)
    assert others == [1, folder]
    assert content(folder) == reference
    assert list(tmp_path.iterdir()) == [folder]


def test_processes_that_ask_at_the_same_time_share_the_work_and_get_the_same_split(tmp_path, reference, small, content):
    code = f"from memvos.data.synthetic import ensure_synthetic as e; print(e({str(tmp_path)!r}, **{small!r}))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=60)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    (folder,) = tmp_path.iterdir()
    assert answers == {str(folder)}
    assert content(folder) == reference  # also: fresh processes render the same bytes as this one


@pytest.fixture
def drawn(monkeypatch):
    """Clips that are made of nothing in place of rendered ones: object 1 is a pixel, in the first of two frames."""

    def draw(difficulty, split, index, frames, size, seed, backdrop):
        labels = np.zeros((frames, *size), np.uint8)
        labels[0, 0, 0] = 1
        return RenderedClip(np.zeros((frames, *size, 3), np.uint8), labels, (f"clip-{index}",))

    monkeypatch.setattr(store, "render_clip", draw)


@pytest.fixture
def recipe():
    return Recipe("easy", "val", 3, 2, (48, 64))


def test_a_split_is_rendered_beside_its_place_and_counted_clip_by_clip(drawn, recipe, tmp_path):
    folder, counts = tmp_path / "split", []
    assert store.partial(folder) == tmp_path / "split.partial"
    assert store.rendered(folder) == 0
    store.fill(recipe, folder, lambda: counts.append(store.rendered(folder)))
    assert counts == [1, 2, 3]
    assert not store.is_complete(folder)
    assert not folder.exists()


def test_a_process_that_is_second_to_finish_leaves_no_working_folder(drawn, tmp_path, monkeypatch):
    write = store.write_text

    def overtaken(path, text):
        if path.name == "val.txt":  # the first that is written once the clips are there
            monkeypatch.setattr(store, "write_text", write)
            ensure_synthetic(tmp_path, "easy", "val", 3, 2, (48, 64))  # by another process
        write(path, text)

    monkeypatch.setattr(store, "write_text", overtaken)
    folder = ensure_synthetic(tmp_path, "easy", "val", 3, 2, (48, 64))
    assert list(tmp_path.iterdir()) == [folder]


def test_a_finished_split_has_its_name_its_lists_and_nothing_else(drawn, recipe, tmp_path):
    folder, names = tmp_path / "split", ["easy_val_0000", "easy_val_0001", "easy_val_0002"]
    store.fill(recipe, folder)
    (store.partial(folder) / ".easy_val_0001-left").mkdir()  # by a process that was killed
    store.finish(recipe, folder)
    assert store.is_complete(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["split"]
    top = {"Annotations", "ImageSets", "JPEGImages", store.ATTRIBUTES, store.EMPTY, store.FINGERPRINT}
    assert {path.name for path in folder.iterdir()} == top
    assert (folder / "ImageSets/2017/val.txt").read_text().split() == names
    notes = [json.loads((folder / name).read_text()) for name in (store.ATTRIBUTES, store.EMPTY, store.FINGERPRINT)]
    assert notes[0] == {name: [f"clip-{index}"] for index, name in enumerate(names)}
    assert notes[1] == {name: [1] for name in names}  # the second frame holds no object
    assert notes[2] == {"fingerprint": recipe.fingerprint(), **recipe.identity()}


def test_clips_that_are_there_are_not_rendered_again(drawn, recipe, tmp_path, monkeypatch):
    store.fill(recipe, tmp_path / "split")
    monkeypatch.setattr(store, "render_clip", None)
    calls = []
    store.fill(recipe, tmp_path / "split", lambda: calls.append(1))
    assert len(calls) == 3


def test_nothing_is_rendered_once_the_split_is_complete(recipe, tmp_path, monkeypatch):
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / store.FINGERPRINT).touch()
    monkeypatch.setattr(store, "render_clip", None)
    store.fill(recipe, tmp_path / "split")
    assert store.rendered(tmp_path / "split") == 0


def test_a_split_with_a_missing_clip_is_not_given_its_name(drawn, recipe, tmp_path):
    store.fill(recipe, tmp_path / "split")
    (store.partial(tmp_path / "split") / store.MARKERS / "easy_val_0001.json").unlink()
    with pytest.raises(FileNotFoundError):
        store.finish(recipe, tmp_path / "split")
    assert not (tmp_path / "split").exists()
