import time
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from memvos.data.trees import Video
from memvos.decode.prior import DoubleSoftmaxPrior
from memvos.errors import InputError
from memvos.lit import video_scores
from memvos.lit.video_scores import Protocol, VideoScores, score_video
from memvos.metrics import SpeedMeter


def test_the_protocol_sets_up_the_stepper(tiny):
    more = {"corruption_rate": 0.3, "corruption_seed": 7, "device": "cpu", "precision": "float32"}
    protocol = Protocol("qdmn", "double_softmax", "oracle", overrides={"sigma": 0.5}, **more)
    segmenter = protocol.segmenter(tiny)
    assert segmenter.bank.sigma == 0.5
    assert isinstance(segmenter.prior, DoubleSoftmaxPrior)
    assert (segmenter.corruption.rate, segmenter.corruption.seed) == (0.3, 7)
    assert segmenter.gate.needs_truth
    assert segmenter.dtype == torch.float32


def test_objects_are_given_where_they_first_appear(tiny, make_videos):
    video = make_videos(1)[0]
    late = Video(video.name, video.image_paths, video.mask_paths, late_objects=True)
    labels = late.labels
    late.labels = lambda time: labels(time) * (labels(time) != 2) if time < 4 else labels(time)
    segmenter = Protocol(device="cpu", precision="float32").segmenter(tiny)
    scores = score_video(segmenter, late)
    assert segmenter.objects == 2  # told beforehand
    # of 12 frames the first and last do not count; object 2 enters on frame 4, which does not count for it either
    assert [(score.object, len(score.j)) for score in scores.objects] == [(1, 10), (2, 6)]
    assert sum(line.object == 2 for line in scores.quality) == 7
    # object 1 is predicted there all the same
    assert [line.frame for line in scores.quality if line.object == 1] == [f"{time:05d}" for time in range(1, 12)]
    assert scores.predicted == 10  # frames on which a mask is given are not


def test_frames_before_the_first_object_are_passed_over(tiny, make_videos, tmp_path):
    video = make_videos(1)[0]
    late = Video(video.name, video.image_paths, video.mask_paths, late_objects=True)
    labels = late.labels
    late.labels = lambda time: labels(time) * (time >= 3)
    scores = score_video(Protocol(device="cpu", precision="float32").segmenter(tiny), late, tmp_path / "masks")
    # 12 frames: three are empty, on the fourth both objects are given, the last does not count
    assert [(score.object, len(score.j)) for score in scores.objects] == [(1, 7), (2, 7)]
    assert (scores.frames, scores.predicted) == (9, 8)
    assert [line.frame for line in scores.course] == list(range(3, 12))
    assert {line.frame for line in scores.quality} == {f"{time:05d}" for time in range(4, 12)}
    masks = [np.array(Image.open(path)) for path in sorted((tmp_path / "masks").glob("*.png"))]
    assert [mask.any() for mask in masks] == [False] * 3 + [True] * 9


def test_a_frame_that_cannot_be_segmented_is_told_with_its_video(tiny, make_videos):
    video = make_videos(1)[0]
    Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(video.image_paths[3])
    Image.fromarray(np.zeros((10, 20), np.uint8)).save(video.mask_paths["00003"])
    told = r"video 'video0', frame 00003: frame 3 is 20×10 pixels, the frames before are 20×16; resize it"
    with pytest.raises(InputError, match=told):
        score_video(Protocol(device="cpu", precision="float32").segmenter(tiny), video)


def test_an_unknown_gate_or_form_of_the_previous_mask_is_refused():
    with pytest.raises(InputError, match="unknown gate 'perfect'; expected one of predicted, oracle"):
        Protocol(gate="perfect")
    with pytest.raises(InputError, match="unknown previous_mask 'soft'; expected one of plain, double_softmax"):
        Protocol(previous_mask="soft")


def test_scores_survive_being_made_plain(tiny, make_videos):
    scores = score_video(Protocol(device="cpu", precision="float32").segmenter(tiny), make_videos(1)[0])
    assert VideoScores.from_plain(scores.as_plain()).as_plain() == scores.as_plain()


def test_every_frame_tells_what_it_took(tiny, make_videos):
    scores = score_video(Protocol("all", device="cpu", precision="float32").segmenter(tiny), make_videos(1)[0])
    assert [frame.memory_frames for frame in scores.course] == list(range(1, 13))
    assert sum(frame.seconds for frame in scores.course) == pytest.approx(scores.seconds)
    held = [frame.memory_mib for frame in scores.course]
    assert held == sorted(held)
    assert held[0] > 0
    assert all(frame.resident_mib > frame.memory_mib for frame in scores.course)


def test_watching_the_read_takes_no_time(tiny, make_videos, monkeypatch):
    segmenter = Protocol(device="cpu", precision="float32").segmenter(tiny)
    watched = []
    slow = Mock(side_effect=lambda *inputs: watched.append(1e6) or {"logit_std": 1.0})  # by this clock
    monkeypatch.setattr(segmenter.model.read, "statistics", slow, raising=False)
    meter = SpeedMeter(clock=lambda: time.perf_counter() + sum(watched))
    monkeypatch.setattr(video_scores, "SpeedMeter", lambda _: meter)
    scores = score_video(segmenter, make_videos(1)[0])
    assert (scores.logit_std, len(watched) > 0) == (1.0, True)
    assert scores.seconds < 1e6
