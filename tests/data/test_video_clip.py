from itertools import pairwise

import pytest
from PIL import Image

from memvos.data.sampling import MaxSkip, Source
from memvos.data.transforms import Augmentation, video_transforms
from memvos.data.trees import DavisTree, FolderTree
from memvos.data.video_clip import VideoClips
from memvos.errors import InputError


def video_clips(*sources, skip="davis", size=64, **options):
    listed = [Source.of(source) for source in sources]
    return VideoClips(listed, Augmentation(video_transforms(size)), MaxSkip(skip), **options)


def times(clip):
    return [int(name) for name in clip.name.split("/")[1].split(",")]


def test_a_clip_has_three_frames_of_up_to_two_objects(davis_root):
    clips = video_clips(DavisTree(davis_root, "train"))
    drawn = [clips[n, 0.0] for n in range(8)]
    assert drawn[0].frames.shape == (3, 3, 64, 64)
    assert drawn[0].masks.shape == (3, 2, 64, 64)
    assert {clip.name.split("/")[0]: tuple(clip.valid.tolist()) for clip in drawn}["bird"] == (True, False)
    assert all(clip.masks[0, 0].sum() >= 16 for clip in drawn)


def test_a_sample_is_a_function_of_seed_number_and_progress(davis_root):
    one, same = (video_clips(DavisTree(davis_root, "train"), seed=3) for _ in range(2))
    one[5, 0.1]
    assert (one[4, 0.0].frames == same[4, 0.0].frames).all()
    assert one[4, 0.0].name == same[4, 0.0].name


def test_the_skip_follows_the_progress(davis_root):
    clips = video_clips(DavisTree(davis_root, "train"), skip=[[0.5, 1], [1, 2]], reverse=0)
    early = [times(clips[n, 0.2]) for n in range(20)]
    late = [times(clips[n, 0.9]) for n in range(20)]
    assert {b - a for frames in early for a, b in pairwise(frames)} == {1}
    assert {b - a for frames in late for a, b in pairwise(frames)} == {1, 2}


def test_a_source_may_have_its_own_skip(davis_root):
    source = {"tree": DavisTree(davis_root, "train"), "max_skip": 2}
    clips = video_clips(source, skip=1, reverse=0)
    drawn = [times(clips[n, 0.0]) for n in range(20)]
    assert max(b - a for frames in drawn for a, b in pairwise(frames)) == 2


def test_an_object_has_a_pixel_at_least(davis_root):
    with pytest.raises(InputError, match="expected min_pixels as a whole number from 1, got 0"):
        video_clips(DavisTree(davis_root, "train"), min_pixels=0)


def test_only_annotated_frames_are_drawn(tmp_path, write_video):
    write_video(tmp_path / "JPEGImages/a", tmp_path / "Annotations/a", frames=10, annotated=(0, 4, 7, 9))
    clips = video_clips(FolderTree(tmp_path), skip=1)
    drawn = {tuple(times(clips[n, 0.0])) for n in range(30)}
    assert drawn == {(0, 4, 7), (4, 7, 9), (7, 4, 0), (9, 7, 4)}


def test_videos_come_as_often_as_their_source_says(davis_root):
    clips = video_clips({"tree": DavisTree(davis_root, "train"), "repeat": 3}, DavisTree(davis_root, "val"))
    names = [clips[n, 0.0].name.split("/")[0] for n in range(len(clips))]
    assert {name: names.count(name) for name in set(names)} == {"bird": 3, "cars": 3, "dog": 1}


def test_a_video_with_one_annotated_frame_cannot_be_trained_on(tmp_path, write_video):
    write_video(tmp_path / "JPEGImages/a", tmp_path / "Annotations/a", annotated=(0,))
    with pytest.raises(InputError, match=r"video 'a' has 1 annotated frames; expected at least 2 to train on"):
        video_clips(FolderTree(tmp_path))


def test_videos_without_an_object_are_an_error(davis_root):
    for path in (davis_root / "Annotations/480p/dog").iterdir():
        Image.new("L", (64, 48)).save(path)
    with pytest.raises(InputError, match=r"first frames of clips of 20 videos held no object, the last being 'dog'"):
        video_clips(DavisTree(davis_root, "val"))[0, 0.0]


def test_frames_of_unequal_size_are_an_error(davis_root):
    for t in range(1, 6):
        Image.new("RGB", (32, 48)).save(davis_root / f"JPEGImages/480p/dog/0000{t}.jpg")
        Image.new("L", (32, 48), 1).save(davis_root / f"Annotations/480p/dog/0000{t}.png")
    clips = video_clips(DavisTree(davis_root, "val"))
    with pytest.raises(InputError, match=r"frames 0000\d and 0000\d of video 'dog' differ in size"):
        [clips[n, 0.0] for n in range(10)]
