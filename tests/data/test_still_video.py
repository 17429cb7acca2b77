import numpy as np
import pytest
from PIL import Image

from memvos.data.still_video import FRAMES, StillVideo
from memvos.data.trees import FolderTree, ImageTree
from memvos.errors import InputError


def test_a_static_image_becomes_a_video_that_starts_with_it_and_moves(static_root):
    still = ImageTree(static_root).images[0]
    video = StillVideo(still)
    assert len(video) == len(video.annotated) == FRAMES
    assert (video.object_ids, video.size) == ((1, 2), (48, 64))
    assert (video.image(0) == still.image()).all()
    assert (video.labels(0) == still.labels()).all()
    places = [np.argwhere(video.labels(t) == 1).mean(0) for t in range(FRAMES)]
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert (steps > 0.2).all(), "every frame differs from the one before"
    assert (steps < 4).all(), "and by little"


def test_image_and_mask_of_a_still_video_move_together(static_root):
    video = StillVideo(ImageTree(static_root).images[0])
    inside = video.image(FRAMES - 1)[video.labels(FRAMES - 1) == 1]  # objects are reddish, everything else is not
    assert (inside[:, 0] > inside[:, 2]).mean() > 0.9


def test_the_movement_of_an_image_depends_on_its_name_only(static_root):
    first, again = (ImageTree(static_root).images for _ in range(2))
    assert (StillVideo(first[1]).image(5) == StillVideo(again[1]).image(5)).all()
    assert (StillVideo(first[1]).labels(5) != StillVideo(first[2]).labels(5)).any()


def test_a_tree_of_images_is_evaluated_on_still_videos_and_one_of_videos_on_these(static_root, davis_root):
    assert [video.name for video in ImageTree(static_root).sequences()] == ["00000", "00001", "00002"]
    tree = FolderTree(davis_root)
    assert tree.sequences() == tree.videos


def test_a_mask_of_another_size_is_refused(static_root):
    Image.new("L", (64, 40), 1).save(static_root / "masks/00000.png")
    with pytest.raises(InputError, match=r"64×40 pixels, its image .* 64×48"):
        StillVideo(ImageTree(static_root).images[0]).labels(3)


def test_a_folder_of_single_pictures_is_pointed_to_data_images(static_root):
    with pytest.raises(InputError, match=r"found no video .*take data=images where each picture is for itself"):
        FolderTree(static_root)
