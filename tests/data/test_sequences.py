import shutil

import numpy as np
import pytest
from PIL import Image

from memvos.data.files import MaskFormat
from memvos.data.sequences import StaticImage, Video, require_categories, same_size
from memvos.data.trees import DavisTree, FolderTree
from memvos.errors import InputError


@pytest.fixture
def video(tmp_path):
    """A function that writes masks of 4×3 pixels, each one row of object ids over background, and makes a video."""

    def make(rows: dict[str, list[int]], frames: int = 3, **settings) -> Video:
        names = [f"{t:05d}" for t in range(frames)]
        images, masks = [tmp_path / f"{name}.jpg" for name in names], {}
        for path in images:
            Image.new("RGB", (4, 3)).save(path)
        for name, row in rows.items():
            labels = np.zeros((3, 4), np.uint8)
            labels[1] = row
            masks[name] = tmp_path / f"{name}.png"
            Image.fromarray(labels).save(masks[name])
        return Video("v", images, masks, **settings)

    return make


def test_a_davis_video_gives_images_and_labels(davis_root):
    video = DavisTree(davis_root, "val").videos[0]
    assert video.frame_names == ("00000", "00001", "00002", "00003", "00004", "00005")
    assert video.size == (48, 64)
    assert video.image(2).shape == (48, 64, 3)
    assert video.image(2).dtype == np.uint8
    assert np.unique(video.labels(2)).tolist() == [0, 1, 2]
    assert (video.labels(2) == 1).sum() == 100
    assert video.labels(2)[8, 8] == 1  # object 1 starts at 4 + 2·2 pixels from the left


def test_a_video_without_a_first_mask_is_refused_when_its_objects_are_asked_for(davis_root):
    (davis_root / "Annotations/480p/dog/00000.png").unlink()
    with pytest.raises(InputError, match=r"video 'dog': its first mask is that of frame 00001; expected .*00000"):
        _ = DavisTree(davis_root, "val").videos[0].object_ids
    shutil.rmtree(davis_root / "Annotations/480p/dog")
    with pytest.raises(InputError, match=r"video 'dog': it has no mask; expected a mask for the first frame"):
        _ = DavisTree(davis_root, "val").videos[0].object_ids


def test_an_empty_first_mask_is_refused(davis_root):
    Image.new("L", (64, 48)).save(davis_root / "Annotations/480p/dog/00000.png")
    with pytest.raises(InputError, match=r"video 'dog': its first mask holds no object"):
        _ = DavisTree(davis_root, "val").videos[0].object_ids


def test_a_mask_of_another_size_is_refused_when_read(davis_root):
    Image.new("L", (32, 48)).save(davis_root / "Annotations/480p/dog/00001.png")
    with pytest.raises(
        InputError, match=r"00001\.png is 32×48 pixels, its image .*00001\.jpg 64×48; expected equal sizes"
    ):
        DavisTree(davis_root, "val").videos[0].labels(1)


def test_objects_of_a_folder_may_enter_late(tmp_path, write_video):
    write_video(tmp_path / "JPEGImages/a", tmp_path / "Annotations/a", objects=1, annotated=(0,))
    write_video(tmp_path / "more", tmp_path / "Annotations/a", objects=2, annotated=(4,))
    shutil.rmtree(tmp_path / "more")
    (video,) = FolderTree(tmp_path).videos
    assert video.object_ids == (1, 2)
    assert video.first_seen == {1: 0, 2: 4}


def test_a_video_knows_its_length_and_which_frames_are_annotated(video):
    made = video({"00000": [1, 1, 0, 0], "00002": [1, 0, 0, 0]}, attributes=["motion"], categories={1: "dog"})
    assert (len(made), made.annotated, made.size) == (3, (0, 2), (3, 4))
    assert (made.attributes, made.categories, made.late_objects) == (("motion",), {1: "dog"}, False)
    assert repr(made) == "Video('v', frames=3, annotated=2)"
    assert made.labels(1) is None
    assert made.labels(2).tolist() == [[0] * 4, [1, 0, 0, 0], [0] * 4]


def test_frames_may_have_other_names_than_their_files(video):
    made = video({"00000": [1, 0, 0, 0]})
    again = Video("v", made.image_paths, {"b": made.mask_paths["00000"]}, frame_names=["a", "b", "c"])
    assert (again.frame_names, again.annotated) == (("a", "b", "c"), (1,))
    assert again.labels(1).max() == 1


def test_a_frame_goes_into_the_array_that_is_given(video):
    made, out = video({}), np.full((3, 4, 3), 7, np.uint8)
    assert made.image(0, out) is out
    assert out.max() == 0


def test_masks_are_read_in_the_format_of_the_video(video):
    made = video({"00000": [1, 2, 3, 0]}, mask_format=MaskFormat(merge=True, ignore=(3,)))
    assert made.labels(0)[1].tolist() == [1, 1, 0, 0]
    assert made.still(0).labels()[1].tolist() == [1, 1, 0, 0]


def test_objects_are_those_of_the_first_mask_unless_they_may_enter_late(video):
    rows = {"00000": [2, 2, 0, 0], "00001": [0, 2, 0, 3], "00002": [1, 0, 0, 3]}
    assert video(rows).first_seen == {2: 0}
    late = video(rows, late_objects=True)
    assert list(late.first_seen.items()) == [(1, 2), (2, 0), (3, 1)]
    assert late.object_ids == (1, 2, 3)


def test_a_late_object_may_come_into_an_empty_first_mask(video):
    assert video({"00000": [0] * 4, "00001": [1] * 4}, late_objects=True).first_seen == {1: 1}
    with pytest.raises(InputError, match=r"video 'v': none of its masks holds an object; expected at least one id"):
        _ = video({"00000": [0] * 4, "00001": [0] * 4}, late_objects=True).first_seen
    with pytest.raises(InputError, match=r"video 'v': its first mask is that of frame 00001; expected a mask for the"):
        _ = video({"00001": [1] * 4}, late_objects=True).first_seen


@pytest.mark.parametrize(
    ("rows", "late", "only"),
    [
        ({"00000": [1, 1, 0, 0]}, False, True),
        ({"00000": [1, 1, 0, 0], "00002": [0, 1, 0, 0]}, False, False),
        ({"00000": [1, 1, 0, 0], "00002": [0, 0, 2, 0]}, True, True),
        ({"00000": [1, 1, 0, 0], "00002": [0, 1, 2, 0]}, True, False),  # object 1 can be scored in frame 2
        ({"00000": [1, 1, 0, 0], "00002": [0, 0, 0, 0]}, True, False),  # that nothing is there can be scored, too
    ],
)
def test_masks_that_only_introduce_objects_leave_nothing_to_score(video, rows, late, only):
    assert video(rows, late_objects=late).first_masks_only is only


def test_an_annotated_frame_becomes_a_static_image_of_its_name(video):
    made = video({"00002": [0, 1, 0, 0]})
    still = made.still(2)
    assert (still.name, still.image_path, still.mask_path) == (
        "v/00002",
        made.image_paths[2],
        made.mask_paths["00002"],
    )


def test_a_static_image_refuses_a_mask_of_another_size(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "i.png")
    Image.new("L", (3, 4), 1).save(tmp_path / "m.png")
    still = StaticImage("a", tmp_path / "i.png", tmp_path / "m.png")
    assert still.image().shape == (3, 4, 3)
    with pytest.raises(InputError, match=r"m\.png is 3×4 pixels, its image .*i\.png 4×3; expected equal sizes"):
        still.labels()
    assert still.labels(size=(4, 3)).shape == (4, 3)  # of a size that is known already no header is read


def test_sizes_are_compared_with_the_one_that_is_given_or_with_the_header(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "i.png")
    image, mask = tmp_path / "i.png", tmp_path / "m.png"
    same_size(np.zeros((3, 4)), image, mask)
    same_size(np.zeros((6, 8)), image, mask, (6, 8))
    with pytest.raises(InputError, match=r"m\.png is 4×3 pixels, its image .*i\.png 8×6; .*resize the mask"):
        same_size(np.zeros((3, 4)), image, mask, (6, 8))


def test_objects_without_a_category_are_told(video):
    made = video({"00000": [1, 2, 0, 0]}, categories={1: "dog"})
    require_categories(made, [1])
    with pytest.raises(InputError, match=r"video 'v': object 2 has masks, but no category in meta\.json; .*seen=null"):
        require_categories(made, made.object_ids)


def test_a_mask_that_cannot_be_read_is_told_when_it_is_asked_for(video):
    made = video({"00000": [1, 0, 0, 0], "00001": [1, 0, 0, 0]})
    made.mask_paths["00001"].write_bytes(b"half")
    assert made.object_ids == (1,)
    for read in (lambda: made.labels(1), made.still(1).labels):
        with pytest.raises(InputError, match=r"mask .*00001\.png cannot be read \(not an image\); expected a whole"):
            read()
