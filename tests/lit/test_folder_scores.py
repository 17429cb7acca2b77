import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memvos.data import DavisTree, FolderTree
from memvos.data.youtube import YouTubeTree
from memvos.errors import InputError
from memvos.lit.folder_scores import score_folder
from memvos.metrics import score_sequence, summarise


@pytest.fixture
def predict(tmp_path):
    """A function that writes predictions for a tree, each the truth moved to the right; gives their folder."""

    def write(tree, shift=2, name="predictions") -> Path:
        for video in tree.videos:
            for t in video.annotated:
                path = tmp_path / name / video.name / f"{video.frame_names[t]}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.roll(video.labels(t), shift, 1)).save(path)
        return tmp_path / name

    return write


@pytest.fixture
def tree(davis_root):
    return DavisTree(davis_root, "train")


def test_a_folder_scores_as_its_arrays_do(tree, predict):
    folder = predict(tree)
    expected = []
    for video in tree.videos:
        truth = np.stack([video.labels(t) for t in range(len(video))])
        expected += score_sequence(truth, np.roll(truth, 2, 2), video.name)
    for workers in (1, 2):
        scores = score_folder(tree, folder, workers)
        assert summarise(scores).scores == pytest.approx(summarise(expected).scores)
    assert [(score.video, score.object, len(score.j)) for score in scores] == [
        ("bird", 1, 4),
        ("cars", 1, 4),
        ("cars", 2, 4),
    ]


def test_an_object_that_is_not_predicted_scores_zero_and_surplus_files_do_not_count(tree, predict):
    folder = predict(tree)
    for path in sorted((folder / "cars").iterdir()):
        labels = np.array(Image.open(path))
        Image.fromarray(np.where(labels == 2, 0, labels).astype(np.uint8)).save(path)
    (folder / "cars/00099.png").write_text("surplus")
    (folder / "other").mkdir()
    scores = {(score.video, score.object): score.j.mean() for score in score_folder(tree, folder, 1)}
    assert scores["cars", 2] == 0
    assert scores["cars", 1] > 0.5


def test_the_first_and_the_last_frame_need_no_prediction(tree, predict):
    folder = predict(tree)
    for name in ("00000", "00005"):
        (folder / f"cars/{name}.png").unlink()
    assert len(score_folder(tree, folder, 1)) == 3


def test_youtube_scores_every_frame_after_an_object_was_given(tiny_sets, predict):
    root = tiny_sets.make("youtube2019")[0].removeprefix("root=")
    tree = YouTubeTree(root, "valid", variant="all", seen="train")
    scores = {(score.video, score.object): score for score in score_folder(tree, predict(tree), 1)}
    assert len(scores["v1", 1].j) == 5
    assert len(scores["v1", 2].j) == 3  # given in the third of six masks
    assert scores["v1", 2].category == "hat"


def test_sparse_masks_are_scored_where_they_are(tiny_sets, predict):
    root = tiny_sets.make("long_videos")[0].removeprefix("root=")
    tree = FolderTree(root)
    assert [len(score.j) for score in score_folder(tree, predict(tree), 1)] == [2, 2]


def test_the_ground_truth_is_not_scored_against_itself(tree, davis_root, tmp_path):
    truth = davis_root / "Annotations/480p"
    with pytest.raises(InputError, match=r"bird/00000\.png is the ground truth itself .*says nothing"):
        score_folder(tree, truth, 1)
    (tmp_path / "link").symlink_to(truth)
    with pytest.raises(InputError, match="is the ground truth itself"):
        score_folder(tree, tmp_path / "link", 1)


def test_a_copy_of_the_ground_truth_is_refused_unless_wanted(tree, davis_root, tmp_path):
    copy = shutil.copytree(davis_root / "Annotations/480p", tmp_path / "copy")
    with pytest.raises(InputError, match=r"video 'bird': 4 of 4 predictions equal the ground truth to the last pixel"):
        score_folder(tree, copy, 1)
    assert summarise(score_folder(tree, copy, 1, equal=True)).scores["J&F"] == 1


def test_one_large_mask_that_was_copied_is_enough(tree, predict):
    for video in tree.videos[:1]:
        for t in range(6):
            Image.fromarray(np.pad(np.ones((30, 40 + t), np.uint8), ((0, 18), (0, 24 - t)))).save(
                video.mask_paths[video.frame_names[t]]
            )
    folder = predict(tree)
    shutil.copy(tree.videos[0].mask_paths["00003"], folder / "bird/00003.png")
    with pytest.raises(InputError, match=r"video 'bird': 1 of 4 predictions equal .*\(first: frame 00003\)"):
        score_folder(tree, folder, 1)


@pytest.mark.parametrize("size", [10, 40], ids=["small", "large"])
def test_an_object_that_does_not_move_is_predicted_by_its_first_mask(tree, predict, size):
    still = np.zeros((48, 64), np.uint8)
    still[:size, :size] = 1
    video = tree.videos[0]
    for path in video.mask_paths.values():
        Image.fromarray(still).save(path)
    folder = predict(tree)
    for name in video.frame_names:
        Image.fromarray(still).save(folder / f"bird/{name}.png")
    assert {score.video: score.j.min() for score in score_folder(tree, folder, 1)}["bird"] == 1


def test_a_copy_of_an_object_that_moves_late_is_refused(write_video, tmp_path):
    write_video(tmp_path / "data/JPEGImages/v", tmp_path / "data/Annotations/v", frames=12)
    for t, path in enumerate(sorted((tmp_path / "data/Annotations/v").iterdir())):
        shift = max(t - 7, 0)
        Image.fromarray(np.pad(np.ones((10, 10), np.uint8), ((0, 38), (shift, 54 - shift)))).save(path)
    copy = shutil.copytree(tmp_path / "data/Annotations", tmp_path / "copy")
    with pytest.raises(InputError, match=r"video 'v': 3 of 3 predictions equal .*\(first: frame 00008\)"):
        score_folder(FolderTree(tmp_path / "data"), copy, 1)


def test_masks_that_were_read_as_input_are_not_scored(tree, predict):
    folder = predict(tree)
    (folder / "cars/given.json").write_text(json.dumps({"00000": [1, 2]}))
    assert score_folder(tree, folder, 1)
    (folder / "cars/given.json").write_text(json.dumps({"00000": [1, 2], "00003": [2]}))
    with pytest.raises(
        InputError, match=r"video 'cars': the masks of 1 frames after .*\(first: object 2 in frame 00003\)"
    ):
        score_folder(tree, folder, 1)
    (folder / "cars/given.json").write_text("[")
    with pytest.raises(InputError, match=r"given\.json cannot be read"):
        score_folder(tree, folder, 1)


def test_first_masks_of_several_objects_are_input_where_all_objects_are_one(davis_root, predict):
    tree = DavisTree(davis_root, "train", merge_objects=True)
    folder = predict(tree)
    (folder / "cars/given.json").write_text(json.dumps({"00000": [1, 2]}))
    assert len(score_folder(tree, folder, 1)) == 2
    (folder / "cars/given.json").write_text(json.dumps({"00000": [1], "00003": [2]}))
    with pytest.raises(InputError, match=r"video 'cars': the masks of 1 frames .*\(first: object 2 in frame 00003\)"):
        score_folder(tree, folder, 1)


def test_what_is_wrong_with_predictions_is_named(tree, predict, davis_root, tmp_path):
    with pytest.raises(InputError, match="is no folder; expected <video>/<frame>"):
        score_folder(tree, tmp_path / "nowhere", 1)
    folder = predict(tree)
    path = folder / "cars/00002.png"
    Image.open(path).resize((32, 24)).save(path)
    with pytest.raises(InputError, match=r"00002\.png is 32×24 pixels, its frame 64×48"):
        score_folder(tree, folder, 1)
    Image.fromarray(np.full((48, 64), 7, np.uint8)).save(path)
    with pytest.raises(InputError, match=r"00002\.png holds id 7, no object of video 'cars' \(1, 2\)"):
        score_folder(tree, folder, 1)
    path.unlink()
    with pytest.raises(InputError, match=r"1 of 8 masks to score are missing .*cars/00002\.png"):
        score_folder(tree, folder, 1)
    for mask in (davis_root / "Annotations").rglob("*.png"):
        if mask.stem != "00000":
            mask.unlink()
    with pytest.raises(InputError, match="has no ground truth after the first masks"):
        score_folder(DavisTree(davis_root, "train"), folder, 1)


def test_truth_on_frames_alone_that_do_not_count_is_told_with_the_rule(davis_root, predict):
    folder = predict(DavisTree(davis_root, "train"))
    for mask in (davis_root / "Annotations").rglob("*.png"):
        if mask.stem not in ("00000", "00005"):
            mask.unlink()
    told = "only frames that do not count have ground truth.*: by DAVIS' protocol the first and the last frame of"
    with pytest.raises(InputError, match=told):
        score_folder(DavisTree(davis_root, "train"), folder, 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_prediction_that_is_no_mask_is_told_by_worker_processes_too(tree, predict, workers):
    folder = predict(tree)
    Image.new("RGB", (64, 48)).save(folder / "cars/00002.png")
    with pytest.raises(InputError, match=r"00002\.png has mode RGB; expected a palette \(P\) or grey \(L\) PNG"):
        score_folder(tree, folder, workers)


def test_predictions_are_ids_even_where_the_truth_has_smoothed_edges(tmp_path):
    smooth = np.full((40, 40), 0, np.uint8)
    smooth[10:30, 10:30], smooth[10:30, 8:10], smooth[10:30, 30:32] = 255, 160, 90
    for t in range(4):
        for kind, array in (("JPEGImages", np.zeros((40, 40, 3), np.uint8)), ("Annotations", np.roll(smooth, t, 1))):
            path = tmp_path / "data" / kind / "v" / f"{t:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    tree = FolderTree(tmp_path / "data", threshold=True)
    (tmp_path / "masks/v").mkdir(parents=True)
    for t in range(4):
        Image.fromarray(np.roll(tree.videos[0].labels(t), 1, 1)).save(tmp_path / f"masks/v/{t:05d}.png")
    (score,) = score_folder(tree, tmp_path / "masks", 1)
    assert score.j == pytest.approx([21 / 23] * 2)  # 22 columns wide, one beside


def test_an_object_without_a_category_is_told_before_anything_is_scored(tiny_sets, predict, monkeypatch):
    root = tiny_sets.make("youtube2019")[0].removeprefix("root=")
    meta = Path(root, "valid/meta.json")
    meta.write_text(meta.read_text().replace('"yak"', '""'))
    tree = YouTubeTree(root, "valid", seen="train")
    folder = predict(tree)
    assert len(score_folder(YouTubeTree(root, "valid"), folder, 1)) == 3  # without seen and unseen ones
    monkeypatch.setattr("memvos.lit.folder_scores._score", None)
    with pytest.raises(InputError, match=r"video 'v1': object 1 has masks, but no category in meta\.json"):
        score_folder(tree, folder, 1)
