"""`memvos data score` and `submission` on tiny sets."""

import csv
import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from memvos.data import DavisTree
from memvos.data.youtube import YouTubeTree
from memvos.metrics import YOUTUBE_MEASURES


def predict(tree, folder):
    for video in tree.videos:
        for t in video.annotated:
            path = folder / video.name / f"{video.frame_names[t]}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.roll(video.labels(t), 2, 1)).save(path)
    return str(folder)


@pytest.fixture
def youtube(tiny_sets):
    return tiny_sets.make("youtube2019")[0]


def test_a_folder_is_scored_and_written_as_csv(memvos, home, youtube):
    folder = predict(YouTubeTree(youtube.removeprefix("root="), "valid"), home / "masks")
    code, output, error = memvos("data", "score", "youtube2019", folder, youtube, "workers=1")
    assert code == 0, error
    assert "G " in output
    assert "3 objects in 2 videos of youtube2019 test, fingerprint" in output
    result = json.loads((home / "masks_scores/result.json").read_text())
    assert result["fingerprint"] in output
    assert set(result["youtube"]) == set(YOUTUBE_MEASURES)
    tables = {path.stem: list(csv.DictReader(path.open())) for path in (home / "masks_scores").glob("*.csv")}
    assert {name: len(rows) for name, rows in tables.items()} == {"objects": 3, "sequences": 2, "categories": 3}
    assert tables["objects"][1]["category"] == "yak"
    assert {row["category"] for row in tables["categories"]} == {"person", "yak", "hat"}


def test_a_place_that_cannot_be_written_is_told_before_scoring(memvos, home, youtube, monkeypatch):
    folder = predict(YouTubeTree(youtube.removeprefix("root="), "valid"), home / "masks")
    (home / "file").touch()
    monkeypatch.setattr("memvos.lit.folder_scores.score_folder", None)
    code, _, error = memvos("data", "score", "youtube2019", folder, youtube, "workers=1", f"output={home}/file")
    assert code == 2
    assert "a file is in the way; choose another output=FOLDER" in error


@pytest.mark.parametrize(("start", "folder"), [(".", "masks"), (".", "./masks/"), ("masks", "."), ("masks/v0", "..")])
def test_scores_go_beside_the_folder_of_masks(memvos, home, youtube, monkeypatch, start, folder):
    predict(YouTubeTree(youtube.removeprefix("root="), "valid"), home / "masks")
    monkeypatch.chdir(home / start)
    code, _, error = memvos("data", "score", "youtube2019", folder, youtube, "workers=1")
    assert code == 0, error
    assert (home / "masks_scores/result.json").is_file()
    assert sorted(path.name for path in (home / "masks").iterdir()) == ["v0", "v1"]


def test_equal_is_true_or_false(memvos, home, youtube):
    code, _, error = memvos("data", "score", "youtube2019", home, youtube, "equal=yes")
    assert (code, "expected equal=true or equal=false, got 'yes'" in error) == (2, True), error


def test_a_missing_folder_of_masks_leaves_nothing_behind(memvos, home, youtube):
    code, _, error = memvos("data", "score", "youtube2019", f"{home}/nowhere", youtube, "workers=1")
    assert code == 2, error
    assert not (home / "nowhere_scores").exists()


def test_a_folder_is_not_scored_against_itself(memvos, davis_root):
    masks = davis_root / "Annotations/480p"
    code, _, error = memvos("data", "score", "davis2017", str(masks), f"root={davis_root}", "workers=1")
    assert code == 2
    assert "is the ground truth itself" in error


def test_a_submission_is_packed_and_looked_over(memvos, home, youtube):
    folder = predict(YouTubeTree(youtube.removeprefix("root="), "valid"), home / "masks")
    code, output, _ = memvos("data", "submission", "youtube2019", folder, str(home / "send.zip"), youtube)
    assert (code, "ready to send" in output) == (0, True)
    with zipfile.ZipFile(home / "send.zip", "a") as archive:
        archive.writestr("v0/surplus.png", "x")
    code, output, _ = memvos("data", "submission", "youtube2019", str(home / "send.zip"), youtube)
    assert code == 1
    assert "surplus file (1×): v0/surplus.png" in output


def test_a_layout_that_is_another_is_a_fault_and_no_root_is_bad_input(memvos, davis_root):
    code, output, _ = memvos("data", "check", "mose", f"root={davis_root}")
    assert code == 2  # there is no folder train or valid to look at
    shutil.rmtree(davis_root / "ImageSets")
    code, output, _ = memvos("data", "check", "davis2017", f"root={davis_root}")
    assert code == 1
    assert "layout (1×):" in output
    assert memvos("data", "check", "davis2017", "root=/nowhere")[0] == 2


@pytest.mark.parametrize("arguments", [["score", "davis2017"], ["check"], ["submission", "a", "b", "c", "d"], ["sing"]])
def test_wrong_arguments_point_to_the_help(memvos, arguments):
    code, _, error = memvos("data", *arguments)
    assert code == 2
    assert "memvos data --help" in error


def test_a_prediction_of_the_davis_task_is_scored(memvos, home, davis_root):
    folder = predict(DavisTree(davis_root, "val"), home / "masks")
    code, output, _ = memvos("data", "score", "davis2017", folder, f"root={davis_root}", "workers=1", "output=scores")
    assert code == 0
    assert output.splitlines()[1].startswith("mean")
    assert (home / "scores/objects.csv").is_file()


def test_static_images_have_no_videos_to_score(memvos, home, static_root):
    (home / "masks").mkdir()
    for line in (("score", "images", home / "masks"), ("proposals", "images", home / "p", "model/proposals=mask_rcnn")):
        code, _, error = memvos("data", *map(str, line), f"root={static_root}")
        assert (code, "data images is static images, of which only `memvos evaluate` makes videos" in error) == (
            2,
            True,
        )


def test_a_submission_refuses_what_it_has_no_use_for(memvos, home, youtube):
    (home / "masks").mkdir()
    code, _, error = memvos("data", "submission", "youtube2019", home / "masks", "send.zip", "equal=true", youtube)
    assert (code, "unknown config key 'data.equal'" in error) == (2, True), error
