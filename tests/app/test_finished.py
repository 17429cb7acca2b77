"""When a training, an evaluation or a video that is segmented counts as done."""

from functools import partial

import pytest

from memvos.app import provenance
from memvos.app.finished import FINAL, is_evaluated, is_segmented, is_trained, segmented

TWO = "video,object\na,1\na,2\n"


def test_a_training_is_done_when_it_is_finished_with_the_same_fingerprint(tmp_path, finish):
    done = partial(is_trained, tmp_path / "run")
    assert not done("mark")
    finish(tmp_path / "run", "mark")
    assert done("mark")
    assert not done("another")
    weights = tmp_path / "run" / FINAL
    weights.write_bytes(weights.read_bytes()[:-30])
    assert not done("mark")  # a file that is cut off
    provenance.write(tmp_path / "run", {"fingerprint": "mark"})
    assert not done("mark")


def test_an_evaluation_is_done_when_its_result_has_the_same_fingerprint(tmp_path, evaluated):
    assert not is_evaluated(tmp_path, "mark")
    evaluated(tmp_path, "mark")
    assert is_evaluated(tmp_path, "mark")
    assert not is_evaluated(tmp_path, "another")
    (tmp_path / "objects.csv").unlink()  # without which no report reads it
    assert not is_evaluated(tmp_path, "mark")


@pytest.mark.parametrize("left", ["", "video,object\n", "video,object\na,1\n", TWO[:-1], TWO + "b,1\n"])
def test_an_evaluation_with_other_objects_than_its_result_counts_is_not_done(tmp_path, left, evaluated):
    evaluated(tmp_path, "mark")
    (tmp_path / "objects.csv").write_text(left)
    assert not is_evaluated(tmp_path, "mark")


@pytest.mark.parametrize("left", [None, "video,frame,object\na,0,1\n"])
def test_an_evaluation_without_all_of_its_quality_scores_is_not_done(tmp_path, left, evaluated):
    evaluated(tmp_path, "mark")
    (tmp_path / "quality.csv").unlink()
    if left:
        (tmp_path / "quality.csv").write_text(left)
    assert not is_evaluated(tmp_path, "mark")


def test_masks_that_are_asked_for_have_to_be_there(tmp_path, evaluated):
    evaluated(tmp_path, "mark", write_masks=True)
    assert not is_evaluated(tmp_path, "mark", with_masks=True)
    (tmp_path / "masks").mkdir()
    assert is_evaluated(tmp_path, "mark", with_masks=True)
    evaluated(tmp_path, "mark", write_masks=False)  # the folder is of an evaluation that was interrupted
    assert not is_evaluated(tmp_path, "mark", with_masks=True)


def test_a_video_is_segmented_when_its_files_are_there_with_the_same_fingerprint(tmp_path):
    done = partial(is_segmented, tmp_path)
    assert not done("mark")
    (tmp_path / "quality.csv").write_text("video,frame,object\na,f0,1\na,f0,2\na,f1,1\n")
    for name in ("f0", "f1"):
        (tmp_path / f"{name}.png").touch()
    assert not done("mark")
    segmented(tmp_path, False, {"fingerprint": "mark"})
    assert done("mark")
    assert not done("another")
    (tmp_path / "overlay.mp4").touch()
    assert not done("mark", with_overlay=True)  # it was made at another time
    segmented(tmp_path, True, {"fingerprint": "mark"})
    assert done("mark", with_overlay=True)
    (tmp_path / "overlay.mp4").unlink()
    assert not done("mark", with_overlay=True)
    assert done("mark")
    (tmp_path / "f1.png").unlink()
    assert not done("mark")


@pytest.mark.parametrize("left", [None, "video,frame,object\n", "video,frame,object\na,f0,1"])
def test_a_video_without_all_of_its_rows_is_not_segmented(tmp_path, left):
    (tmp_path / "quality.csv").write_text("video,frame,object\na,f0,1\n")
    (tmp_path / "f0.png").touch()
    segmented(tmp_path, False, {"fingerprint": "mark"})
    assert is_segmented(tmp_path, "mark")
    (tmp_path / "quality.csv").unlink()
    if left:
        (tmp_path / "quality.csv").write_text(left)
    assert not is_segmented(tmp_path, "mark")
