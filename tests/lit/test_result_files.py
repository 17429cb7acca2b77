import json
import math
from dataclasses import replace

import numpy as np
import pytest

from memvos.lit.result_files import counts, read_part, summary_of, write_part, write_results, write_scores
from memvos.lit.video_scores import FrameCourse, FrameQuality, VideoScores
from memvos.metrics import ObjectScore


def scores_of(video="a", quality=(), **more):
    """A video of one object with J = F = 1, 0 on the two frames that count."""
    values, present = np.array([1.0, 0.0]), np.array([True, False])
    lines = [FrameQuality(video, f"{k:05d}", 1, score, iou, False) for k, (score, iou) in enumerate(quality)]
    return VideoScores([ObjectScore(video, 1, values, values, present, ("exit",))], lines, frames=4, **more)


def test_fractions_and_means_are_over_all_videos():
    parts = [
        scores_of("a", predicted=3, checked=2, stored=1, seconds=1.0, memory_frames=2.0, logit_std=1.0),
        scores_of("b", predicted=5, checked=2, stored=2, seconds=3.0, memory_frames=4.0, logit_std=2.0),
    ]
    parts[0].course = [FrameCourse(time, 0.1, 1, mib, 100.0) for time, mib in enumerate((1.0, 2.5))]
    parts[1].course = [FrameCourse(0, 0.1, 1, 2.0, 100.0)]
    summary = summary_of(parts, predicts_quality=False)
    assert summary["quality"]["stored_fraction"] == 3 / 8
    assert summary["quality"]["gated_fraction"] == 1 / 4
    assert summary["quality"]["spearman"] is None
    assert summary["memory"] == {"logit_std": 1.5, "frames_mean": 3.0, "mib_most": 2.5}
    assert summary["speed"]["fps"] == 8 / 4
    assert summary["scores"]["J"] == 0.5
    assert summary["scores"]["J_present"] == 1.0
    assert summary["attributes"]["exit"] == {"J&F": 0.5, "J&F_present": 1.0, "objects": 2}


def test_the_gate_is_judged_apart_on_clean_and_on_corrupted_masks():
    parts = [scores_of("a", checked=4, stored=2, corrupted=3, corrupted_stored=1), scores_of("b", checked=2, stored=0)]
    quality = summary_of(parts, predicts_quality=False)["quality"]
    assert quality["gated_fraction"] == 4 / 6
    assert quality["gated_clean_fraction"] == 2 / 3
    assert quality["gated_corrupted_fraction"] == 2 / 3


def test_quality_is_compared_where_the_iou_is_known():
    quality = [(0.9, 0.8), (0.5, 0.4), (0.1, 0.0), (0.7, None)]
    summary = summary_of([scores_of(quality=quality)], predicts_quality=True)["quality"]
    assert summary["spearman"] == pytest.approx(1.0)
    assert summary["bias"] == pytest.approx(0.1)
    assert summary["ece"] == pytest.approx(0.1)
    assert summary["mean"] == pytest.approx(0.5)
    assert summary["stored_fraction"] is None


def test_objects_without_a_frame_that_counts_are_told_apart(tmp_path):
    nothing = np.empty(0)
    alone = ObjectScore("b", 3, nothing, nothing, nothing.astype(bool))
    parts = [scores_of("a"), VideoScores([alone], [], frames=4)]
    for chosen, expected in (
        (parts, "2 objects (1 scored) in 2 videos (1 scored)"),
        (parts[:1], "1 objects in 1 videos"),
        (parts[1:], "1 objects in 1 videos"),
    ):
        write_results(tmp_path, summary_of(chosen, predicts_quality=False), chosen, predicts_quality=False)
        assert counts(tmp_path) == expected


def test_no_table_of_an_earlier_result_is_left(tmp_path):
    scores = scores_of().objects
    write_scores(tmp_path, {}, [replace(score, category="dog") for score in scores])
    assert (tmp_path / "attributes.csv").is_file()
    assert (tmp_path / "categories.csv").is_file()
    write_scores(tmp_path, {}, [replace(score, attributes=()) for score in scores])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["objects.csv", "result.json", "sequences.csv"]


def test_json_holds_null_and_csv_nothing_where_a_value_is_not_defined(tmp_path):
    part = scores_of(quality=[(0.5, None)])
    part.objects[0].present[:] = False
    result = {"schema": 1, **summary_of([part], predicts_quality=False), "odd": math.nan}
    write_results(tmp_path, result, [part], predicts_quality=True)
    written = json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    assert written["odd"] is written["scores"]["J_present"] is None
    assert (tmp_path / "quality.csv").read_text().splitlines()[1] == "a,00000,1,0.5,,0,"
    assert ",,," in (tmp_path / "objects.csv").read_text().splitlines()[1]


def test_the_quality_of_a_network_that_predicts_none_stays_empty(tmp_path):
    part = scores_of(quality=[(1.0, 0.25)])
    write_results(tmp_path, summary_of([part], predicts_quality=False), [part], predicts_quality=False)
    assert (tmp_path / "quality.csv").read_text().splitlines()[1] == "a,00000,1,,0.25,0,"


def test_a_part_belongs_to_its_key(tmp_path):
    scores = scores_of(quality=[(0.5, None), (0.25, 0.75)], logit_std=1.5)
    write_part(tmp_path / "part.json", scores, "key")
    assert read_part(tmp_path / "part.json", "key").as_plain() == scores.as_plain()
    assert read_part(tmp_path / "part.json", "another key") is None
    assert read_part(tmp_path / "none.json", "key") is None


@pytest.mark.parametrize("content", ["{", "[]", "7", '{"key": "key"}'])
def test_a_damaged_part_is_scored_again(tmp_path, content):
    (tmp_path / "part.json").write_text(content)
    assert read_part(tmp_path / "part.json", "key") is None


def test_a_part_that_another_version_wrote_is_scored_again(tmp_path):
    path = tmp_path / "part.json"
    write_part(path, scores_of(), "key")
    content = json.loads(path.read_text())
    del content["scores"]["course"], content["scores"]["covered"]
    for form in (None, {**content["form"], "VideoScores": list(content["scores"])}):
        path.write_text(json.dumps({**content, "form": form}))
        assert read_part(path, "key") is None


def test_the_course_of_every_video_is_written(tmp_path):
    course = [FrameCourse(3, 0.5, 1, 2.0, 100.0), FrameCourse(4, 0.25, 2, 4.0, 100.5)]  # none before frame 3
    parts = [scores_of("a", predicted=1, course=course), scores_of("b", predicted=1)]
    write_results(tmp_path, summary_of(parts, predicts_quality=False), parts, predicts_quality=False)
    assert (tmp_path / "frames.csv").read_text().splitlines() == [
        "video,frame,seconds,memory_frames,memory_mib,resident_mib",
        "a,3,0.5,1,2,100",
        "a,4,0.25,2,4,100.5",
    ]
