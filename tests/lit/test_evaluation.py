import csv
import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import memvos.lit.evaluation as evaluation
from memvos.data.trees import Video
from memvos.decode import Segmenter
from memvos.errors import InputError
from memvos.lit.video_scores import Protocol
from memvos.model.checkpoints import load_model
from memvos.model.memory_read import TopK
from memvos.model.proposal_sources import NoProposals


def evaluate(
    model, videos, memory="qdmn", output_dir=None, *, tta=None, gate="predicted", corruption=0.0, overrides=None, **more
):
    """`memvos.lit.evaluate` on one thread of the CPU."""
    of_gate = {"gate": gate, "corruption_rate": corruption}
    protocol = Protocol(memory, device="cpu", precision="float32", tta=tta, overrides=overrides or {}, **of_gate)
    return evaluation.evaluate(model, videos, protocol, output_dir, progress=False, **more)


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_result_files_have_the_agreed_form(tiny, make_videos, tmp_path):
    facts = {"row": "both", "seed": 0, "split": "test", "scale": "mini", "data": "synthetic", "provenance": {"a": 1}}
    result = evaluate(tiny, make_videos(), "qdmn", tmp_path / "out", facts=facts)
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert written == result
    assert written["schema"] == 1
    assert {**written, **facts} == written
    assert set(written["scores"]) == {
        "J", "J_recall", "J_decay", "F", "F_recall", "F_decay", "J&F", "J_present", "F_present", "J&F_present"
    }  # fmt: skip
    assert written["sequences"] == 2
    assert written["objects"] == 4
    assert written["attributes"]["motion"]["objects"] == 2
    assert set(written["quality"]) == {
        "spearman", "pearson", "ece", "bias", "mean",
        "stored_fraction", "gated_fraction", "gated_clean_fraction", "gated_corrupted_fraction",
    }  # fmt: skip
    assert written["memory"]["logit_std"] > 0
    assert written["speed"]["fps"] > 0
    objects = read_csv(tmp_path / "out" / "objects.csv")
    assert [(row["video"], row["object"], row["frames"]) for row in objects] == [
        ("video0", "1", "10"), ("video0", "2", "10"), ("video1", "1", "10"), ("video1", "2", "10")
    ]  # fmt: skip
    assert objects[0]["attributes"] == "motion"
    assert written["lines"] == {name: len(read_csv(tmp_path / "out" / name)) for name in ("quality.csv", "frames.csv")}
    mean = np.mean([float(row["J&F"]) for row in objects])
    assert written["scores"]["J&F"] == pytest.approx(mean)


def test_quality_has_a_line_per_object_and_predicted_frame(tiny, make_videos, tmp_path):
    evaluate(tiny, make_videos(1), {"every": 2, "sigma": None, "beta": 1}, tmp_path)
    lines = read_csv(tmp_path / "quality.csv")
    assert list(lines[0]) == ["video", "frame", "object", "quality", "iou", "stored", "evicted"]
    assert Counter(line["object"] for line in lines) == {"1": 11, "2": 11}
    stored = [line["frame"] for line in lines if line["stored"] == "1" and line["object"] == "1"]
    assert stored == ["00002", "00004", "00006", "00008", "00010"]
    assert next(line["evicted"] for line in lines if line["evicted"]) in ("00002", "00004")


def test_evicted_frames_are_named_where_the_first_object_enters_late(tiny, make_videos, tmp_path):
    video = make_videos(1)[0]
    for time in range(3):
        blank = np.zeros_like(video.labels(time))
        Image.fromarray(blank).save(video.mask_paths[f"{time:05d}"])
    late = Video("video0", video.image_paths, video.mask_paths, late_objects=True)
    evaluate(tiny, [late], {"every": 2, "sigma": None, "beta": 1}, tmp_path)
    lines = read_csv(tmp_path / "quality.csv")
    stored = {line["frame"] for line in lines if line["stored"] == "1"}
    evicted = {line["evicted"] for line in lines if line["evicted"]}
    assert evicted
    assert evicted <= stored == {"00005", "00007", "00009", "00011"}


def test_without_a_gate_nothing_is_gated_and_every_fifth_frame_is_stored(tiny, make_videos):
    result = evaluate(tiny, make_videos(1), "every_5")
    assert result["quality"]["gated_fraction"] == 0.0
    assert result["quality"]["stored_fraction"] == pytest.approx(2 / 11)  # frames 5 and 10 of 11 predicted ones
    # frames 0-11 hold 1, 2, …: annotated, previous, from 5 on a stored one, which is the previous frame itself at 5, 10
    assert result["memory"]["frames_mean"] == pytest.approx((1 + 4 * 2 + 2 + 4 * 3 + 3 + 4) / 12)


def test_without_a_quality_head_scores_are_null(tiny_without_qam, make_videos):
    quality = evaluate(tiny_without_qam, make_videos(1), "every_5")["quality"]
    assert [quality[name] for name in ("spearman", "pearson", "ece", "bias", "mean")] == [None] * 5
    assert quality["stored_fraction"] > 0


def test_a_perfect_prediction_scores_one(tiny, make_videos, monkeypatch):
    step = Segmenter.step

    def perfect(self, frame, masks=None, *, truth=None, last=False, name=None):
        return replace(step(self, frame, masks, truth=truth), labels=truth)

    monkeypatch.setattr(Segmenter, "step", perfect)
    scores = evaluate(tiny, make_videos(1))["scores"]
    assert scores["J"] == scores["F"] == 1.0


def test_finished_videos_are_skipped_after_an_interruption(tiny, make_videos, tmp_path, monkeypatch):
    videos, seen = make_videos(3), []
    score_video = evaluation.score_video

    def interrupted(segmenter, video, masks_to, scored):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(video.name)
        return score_video(segmenter, video, masks_to, scored)

    monkeypatch.setattr(evaluation, "score_video", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny, videos, output_dir=tmp_path / "out")
    assert not (tmp_path / "out" / "result.json").exists()
    again = []
    monkeypatch.setattr(evaluation, "score_video", lambda *rest: again.append(rest[1].name) or score_video(*rest))
    told = []
    result = evaluate(tiny, videos, output_dir=tmp_path / "out", tell=lambda *counts: told.append(counts))
    assert told == [(2, 2, 3), (2, 3, 3)]  # before, done, in all
    assert seen == ["video0", "video1"]
    assert again == ["video2"]
    monkeypatch.undo()
    fresh = evaluate(tiny, videos, output_dir=tmp_path / "fresh")
    assert {**result, "speed": 0} == {**fresh, "speed": 0}


def test_other_weights_or_settings_start_anew(tiny, make_videos, tmp_path, monkeypatch):
    videos, seen = make_videos(1), []
    score_video = evaluation.score_video
    monkeypatch.setattr(evaluation, "score_video", lambda *rest: seen.append(rest[1].name) or score_video(*rest))
    evaluate(tiny, videos, output_dir=tmp_path)
    evaluate(tiny, videos, output_dir=tmp_path)
    assert len(seen) == 1
    evaluate(tiny, videos, output_dir=tmp_path, overrides={"sigma": 0.5})
    assert len(seen) == 2
    with torch.no_grad():
        tiny.decoder.bias += 1
    evaluate(tiny, videos, output_dir=tmp_path, overrides={"sigma": 0.5})
    assert len(seen) == 3
    for mark, times in (("old data", 4), ("new data", 5), ("new data", 5)):
        facts = {"provenance": {"fingerprint": mark}}
        evaluate(tiny, videos, output_dir=tmp_path, overrides={"sigma": 0.5}, facts=facts)
        assert len(seen) == times


def test_settings_of_a_network_without_weights_count_too(tiny):
    key = evaluation.settings_key(tiny, Protocol())
    assert evaluation.settings_key(tiny.eval(), Protocol()) == key
    tiny.proposals = NoProposals()
    other = evaluation.settings_key(tiny, Protocol())
    tiny.read.selection = TopK(3)
    assert len({key, other, evaluation.settings_key(tiny, Protocol())}) == 3


def test_masks_are_written_in_the_size_of_the_frames(tiny, make_videos, tmp_path):
    evaluate(tiny, make_videos(1), output_dir=tmp_path, write_masks=True)
    files = sorted((tmp_path / "masks" / "video0").glob("*.png"))
    assert [file.name for file in files][:2] == ["00000.png", "00001.png"]
    assert len(files) == 12
    with Image.open(files[0]) as image:
        assert image.mode == "P"
        assert image.size == (20, 16)
        assert set(np.unique(image)) == {0, 1, 2}


def test_masks_that_were_deleted_are_made_again_and_no_others(tiny, make_videos, tmp_path, monkeypatch):
    videos, seen = make_videos(2), []
    first = evaluate(tiny, videos, output_dir=tmp_path, write_masks=True)
    score_video = evaluation.score_video
    monkeypatch.setattr(evaluation, "score_video", lambda *rest: seen.append(rest[1].name) or score_video(*rest))
    shutil.rmtree(tmp_path / "masks" / "video1")
    again = evaluate(tiny, videos, output_dir=tmp_path, write_masks=True)
    assert seen == ["video1"]
    assert len(list((tmp_path / "masks" / "video1").glob("*.png"))) == 12
    assert {**again, "speed": 0} == {**first, "speed": 0}


def test_the_oracle_gate_stores_only_good_frames(tiny, make_videos):
    result = evaluate(tiny, make_videos(1), {"every": 1, "sigma": 0.99, "beta": None}, gate="oracle")
    assert result["quality"]["gated_fraction"] == 1.0  # an untrained network is never that good


def test_what_the_gate_does_with_corrupted_masks_is_counted_apart(tiny, make_videos):
    videos = make_videos(1)
    clean, corrupted = (evaluate(tiny, videos, "every_5", corruption=rate)["quality"] for rate in (0.0, 1.0))
    assert (clean["gated_clean_fraction"], clean["gated_corrupted_fraction"]) == (0.0, None)
    assert (corrupted["gated_clean_fraction"], corrupted["gated_corrupted_fraction"]) == (None, 0.0)


@pytest.mark.slow
def test_worker_processes_give_the_same_scores(make_videos, tmp_path):
    torch.manual_seed(0)
    parts = {"key_channels": 8, "value_channels": 8, "decoder_width": 8, "aspp_width": 8}
    model = load_model("qdmn_small", quality="none", start="as_is", read="softmax", **parts)
    videos = make_videos(3, frames=4, size=(32, 32))
    alone = evaluate(model, videos, output_dir=tmp_path / "alone")
    together = evaluate(model, videos, output_dir=tmp_path / "together", workers=2)
    assert {**alone, "speed": 0} == {**together, "speed": 0}
    assert read_csv(tmp_path / "alone" / "quality.csv") == read_csv(tmp_path / "together" / "quality.csv")


def test_an_empty_list_of_videos_is_refused(tiny):
    with pytest.raises(InputError, match="no videos to evaluate; the split is empty"):
        evaluate(tiny, [])


def test_two_videos_of_one_name_are_refused(tiny, make_videos):
    with pytest.raises(InputError, match="two videos are called 'video0'; expected one name each"):
        evaluate(tiny, make_videos(1) * 2)


def test_no_workers_are_refused(tiny, make_videos):
    with pytest.raises(InputError, match="workers as a whole number from 1, got 0"):
        evaluate(tiny, make_videos(1), workers=0)


def test_bad_settings_are_told_as_by_one_worker(tiny, make_videos):
    with pytest.raises(InputError, match="short_side as a whole number from 1"):
        evaluation.evaluate(tiny, make_videos(2), Protocol(short_side=-4), workers=2, progress=False)


def test_masks_need_a_folder(tiny, make_videos):
    with pytest.raises(InputError, match="write_masks needs an output_dir"):
        evaluate(tiny, make_videos(1), write_masks=True)


def test_test_time_augmentation_is_one_option(tiny, make_videos):
    videos = make_videos(1)
    plain, once = (evaluate(tiny, videos, tta=tta) for tta in (None, {}))
    assert once["scores"] == plain["scores"]
    assert evaluate(tiny, videos, tta={"scales": [0.5, 1.0], "flip": True})["frames"] == plain["frames"]
    with pytest.raises(InputError, match=r"got tta=\{'scale': 2\}; expected scales="):
        evaluate(tiny, videos, tta={"scale": 2})


def test_an_object_without_a_category_is_told_before_anything_is_computed(tiny, make_videos, monkeypatch):
    (video,) = make_videos(1)
    video.categories = {1: "dog", 2: "yak"}
    assert evaluate(tiny, [video], seen=["dog"])["youtube"]["J_unseen"] is not None
    video.categories = {1: "dog"}
    monkeypatch.setattr(evaluation, "score_video", None)
    with pytest.raises(InputError, match=r"video 'video0': object 2 has masks, but no category in meta\.json"):
        evaluate(tiny, [video], seen=["dog"])
