import shutil

import numpy as np
import pytest
from PIL import Image

from memvos.data.full_video import FullVideo, Truth
from memvos.data.trees import DavisTree, FolderTree
from memvos.errors import InputError


def test_only_the_first_mask_is_given(davis_root):
    video = DavisTree(davis_root, "val").videos[0]
    frames = list(FullVideo(video))
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert [frame.name for frame in frames] == list(video.frame_names)
    assert (frames[3].image == video.image(3)).all()
    assert (frames[0].masks == video.labels(0)).all()
    assert [frame.masks is None for frame in frames] == [False] + [True] * 5


def test_a_later_mask_gives_only_the_objects_that_enter_there(tmp_path, write_video):
    write_video(tmp_path / "JPEGImages/a", tmp_path / "Annotations/a", objects=1, annotated=(0, 2))
    write_video(tmp_path / "other", tmp_path / "Annotations/a", objects=3, annotated=(4,))
    shutil.rmtree(tmp_path / "other")
    (video,) = FolderTree(tmp_path).videos
    frames = list(FullVideo(video))
    assert [frame.entering for frame in frames] == [(1,), (), (), (), (2, 3), ()]
    masks = [frame.masks for frame in frames]
    assert [None if labels is None else np.unique(labels).tolist() for labels in masks] == (
        [[0, 1], None, None, None, [0, 2, 3], None]
    )


def test_the_truth_is_kept_apart(davis_root):
    video = DavisTree(davis_root, "val").videos[0]
    truth = Truth(video)
    assert (truth.labels(4) == video.labels(4)).all()
    assert truth.frames == (0, 1, 2, 3, 4, 5)
    assert truth.object_ids == FullVideo(video).object_ids == (1, 2)
    assert not hasattr(FullVideo(video), "labels")


def test_masks_that_only_introduce_objects_are_no_truth(tmp_path, write_video):
    write_video(tmp_path / "JPEGImages/a", tmp_path / "Annotations/a", objects=1, annotated=(0,))
    write_video(tmp_path / "more", tmp_path / "Annotations/a", objects=2, annotated=(3,))
    path = tmp_path / "Annotations/a/00003.png"
    both = np.array(Image.open(path))
    Image.fromarray(np.where(both == 2, both, 0)).save(path)
    (video,) = FolderTree(tmp_path, videos=["a"]).videos
    assert video.first_masks_only
    assert Truth(video).frames == ()
    assert [Truth(video).labels(t) for t in (0, 3)] == [None, None]
    Image.fromarray(both).save(path)
    (video,) = FolderTree(tmp_path, videos=["a"]).videos
    assert not video.first_masks_only
    assert Truth(video).frames == (0, 3)


def test_no_frame_is_read_before_its_time(davis_root):
    path = davis_root / "JPEGImages/480p/dog/00003.jpg"
    path.write_text("broken")
    frames = iter(FullVideo(DavisTree(davis_root, "val").videos[0]))
    assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match=r"00003\.jpg cannot be read"):
        next(frames)


def test_a_video_without_a_first_mask_is_refused_at_once(davis_root):
    (davis_root / "Annotations/480p/dog/00000.png").unlink()
    with pytest.raises(InputError, match=r"expected a mask for the first frame"):
        FullVideo(DavisTree(davis_root, "val").videos[0])
