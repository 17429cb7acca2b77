"""`memvos data`: faults are printed one kind a line, and counted by the exit code."""

import json

from PIL import Image

from memvos.app import data

SMALL = ["clips.train=2", "clips.val=1", "clips.test=1", "frames=3", "frame_size=[48,48]"]


def rendered(home, memvos):
    assert memvos("data", "synthetic", *SMALL, f"cache_dir={home / 'clips'}")[0] == 0
    return next((home / "clips").glob("*easy-train*"))


def test_the_benchmark_is_rendered_where_asked(memvos, home):
    code, output, _ = memvos("data", "synthetic", *SMALL, f"cache_dir={home / 'clips'}")
    assert code == 0
    assert [line.split(":")[0] for line in output.splitlines()] == [
        "synthetic train",
        "synthetic val",
        "synthetic test",
    ]


def test_the_name_of_a_folder_may_have_an_equal_sign(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    told = []
    monkeypatch.setattr(data, "_action", lambda name: lambda *given: told.append((name, *given)) or 0)
    assert data.run(["score", "folder", "a=b", "root=there"]) == 0
    assert told == [("score", "folder", "a=b", ["root=there"])]


def test_a_sound_tree_has_no_faults(memvos, home):
    code, output, _ = memvos("data", "check", "synthetic", *SMALL, f"cache_dir={home / 'clips'}")
    assert code == 0
    assert "2 videos, 6 frames, no faults" in output


def test_faults_are_listed_by_kind_and_give_exit_code_1(memvos, home):
    root = rendered(home, memvos)
    image = next(root.rglob("*.jpg"))
    image.write_bytes(image.read_bytes()[:100])
    mask = sorted(root.rglob("Annotations/**/*.png"))[-1]
    Image.open(mask).resize((10, 10)).save(mask)
    code, output, _ = memvos("data", "check", "synthetic", *SMALL, f"cache_dir={home / 'clips'}")
    assert code == 1
    assert "2 kinds of fault" in output
    assert f"unreadable file (1×): image {image}" in output
    assert "sizes differ (1×)" in output


def test_a_video_of_one_mask_is_told_where_training_clips_are_drawn(memvos, davis_root):
    for video in ("bird", "dog"):  # of train, and of val, where one mask will do
        for mask in (davis_root / "Annotations/480p" / video).iterdir():
            if mask.stem != "00000":
                mask.unlink()
    code, output, _ = memvos("data", "check", "davis2017", f"root={davis_root}")
    assert code == 1
    assert output.count("one mask only (1×): video 'bird' has 1 annotated frames; expected at least 2") == 1
    assert "'dog'" not in output


def test_pictures_are_looked_over_and_evaluated_as_short_videos(memvos, home, static_root):
    assert memvos("data", "check", "images", f"root={static_root}")[0] == 0
    code, _, errors = memvos(
        "evaluate", "model=copy_first", "data=images", f"data.root={static_root}", "output_dir=out"
    )
    assert code == 0, errors
    result = json.loads((home / "out/result.json").read_text())
    assert (result["sequences"], result["objects"], result["frames"]) == (3, 6, 3 * 6)
    assert 0.1 < result["scores"]["J"] < 0.9  # it moves, but not far
