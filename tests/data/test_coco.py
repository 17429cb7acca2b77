import json

import numpy as np
import pytest
from PIL import Image

from memvos.data import prepare
from memvos.data.coco import MOST, draw, instance_masks, rasterise, runs_of
from memvos.errors import InputError

SQUARE = [[0, 0, 4, 0, 4, 4, 0, 4]]
IMAGE = {"id": 1, "file_name": "1.jpg", "height": 6, "width": 8}


def test_an_instances_file_is_drawn_without_its_crowds(tmp_path):
    square = [[0, 0, 4, 0, 4, 4, 0, 4]]
    content = {
        "images": [{"id": k, "file_name": f"{k}.jpg", "height": 6, "width": 8} for k in (1, 2)],
        "annotations": [
            {"image_id": 1, "segmentation": square, "iscrowd": 0},
            {"image_id": 2, "segmentation": {"counts": [48]}, "iscrowd": 1},
        ],
    }
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(content))
    assert prepare.run(instance_masks(file, tmp_path / "masks")) == 1
    assert (np.array(Image.open(tmp_path / "masks/1.png")) == 1).sum() == 16
    with pytest.raises(InputError, match=r"found no .*other\.json; expected the instances of COCO"):
        instance_masks(tmp_path / "other.json", tmp_path)
    file.write_text("{}")
    with pytest.raises(InputError, match=r"instances\.json is no instances file of COCO"):
        instance_masks(file, tmp_path)


def test_instances_become_label_maps_with_small_ones_on_top(tmp_path):
    large, small = [[0, 0, 8, 0, 8, 6, 0, 6]], [[2, 2, 4, 2, 4, 4, 2, 4]]
    draw([small, large], (6, 8), tmp_path / "m.png")
    labels = np.array(Image.open(tmp_path / "m.png"))
    assert labels.shape == (6, 8)
    assert (labels == 2).sum() == 4  # pixels 2 and 3 of rows 2 and 3
    assert labels[2, 2] == labels[3, 3] == 2
    assert (labels == 1).sum() == 48 - 4


def test_run_lengths_go_down_the_columns():
    mask = rasterise({"counts": [1, 2, 3]}, (3, 2))
    assert mask.T.ravel().tolist() == [False, True, True, False, False, False]


def test_a_pixel_is_inside_where_its_centre_is():
    triangle = [[1, 0, 6, 5, 1, 5]]  # the right angle below on the left
    mask = rasterise(triangle, (6, 8))
    assert mask.sum(axis=1).tolist() == [0, 1, 2, 3, 4, 0]  # centres on the slope itself are outside
    assert not mask[:, 0].any()
    hole = rasterise([[0, 0, 6, 0, 6, 6, 0, 6, 0, 0, 2, 2, 2, 4, 4, 4, 4, 2, 2, 2]], (6, 8))
    assert hole.sum() == 36 - 4


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"images": [IMAGE]},
        {"images": 5, "annotations": []},
        {"images": [{"id": 1}], "annotations": []},
        {"images": [IMAGE], "annotations": [{"image_id": 1}]},
        {"images": [IMAGE], "annotations": [{"image_id": 2, "segmentation": SQUARE}]},  # of an image that is not there
        {"images": [IMAGE], "annotations": ["square"]},
    ],
)
def test_files_of_another_form_are_no_instances_files(tmp_path, content):
    (tmp_path / "other.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"other\.json is no instances file of COCO \(.*\); download it again"):
        instance_masks(tmp_path / "other.json", tmp_path)


def test_a_damaged_file_and_a_folder_are_no_instances_files(tmp_path):
    (tmp_path / "half.json").write_text('{"images": [')
    (tmp_path / "folder.json").mkdir()
    for name in ("half", "folder"):
        with pytest.raises(InputError, match=rf"{name}\.json is no instances file of COCO"):
            instance_masks(tmp_path / f"{name}.json", tmp_path)


def test_an_image_has_one_mask_of_all_its_instances_under_its_own_name(tmp_path):
    content = {
        "images": [{**IMAGE, "file_name": "train2017/a.b.jpg"}],
        "annotations": [{"image_id": 1, "segmentation": shape} for shape in (SQUARE, [[4, 0, 8, 0, 8, 2, 4, 2]])],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    (job,) = instance_masks(tmp_path / "instances.json", tmp_path / "masks")
    assert job[1] == tmp_path / "masks/a.b.png"
    prepare.run([job])
    labels = np.array(Image.open(job[1]))
    assert (np.bincount(labels.ravel()) == [48 - 16 - 8, 16, 8]).all()  # the larger one is object 1


def test_masks_are_palette_images_in_which_no_two_of_the_first_ids_look_alike(tmp_path):
    draw([SQUARE], (6, 8), tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P"
        colours = np.reshape(image.getpalette(), (-1, 3))
    assert colours[0].tolist() == [0, 0, 0]
    assert len({tuple(colour) for colour in colours[:256].tolist()}) == 256


def test_of_more_objects_than_a_label_map_takes_the_smallest_are_left_out(tmp_path):
    row = [{"counts": [k, 1, 299 - k]} for k in range(300)]  # 300 objects of a pixel each
    draw([*row[:MOST], [[0, 0, 0, 1, 300, 1, 300, 0]]], (1, 300), tmp_path / "m.png")
    labels = np.array(Image.open(tmp_path / "m.png"))
    assert labels.max() == MOST == 254
    assert np.unique(labels[0, : MOST - 1]).size == MOST - 1  # on top of the long one, which is object 1
    assert (labels[0, MOST - 1 :] == 1).all()


def test_an_object_of_several_polygons_is_their_union():
    mask = rasterise([[0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 4, 1, 4, 2, 1, 2]], (3, 5))
    assert mask.astype(int).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    assert not rasterise([], (3, 5)).any()


def test_what_of_a_polygon_lies_outside_the_image_is_cut_off():
    mask = rasterise([[-5, -5, 2, -5, 2, 2, -5, 2]], (3, 4))
    assert mask.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert rasterise([[-9, -9, 99, -9, 99, 99, -9, 99]], (3, 4)).all()
    assert not rasterise([[10, 0, 20, 0, 20, 3, 10, 3]], (3, 4)).any()


def test_runs_go_down_the_columns():
    """2 rows, 3 columns: skip one pixel, take two, skip one, take one, skip one."""
    expected = np.array([[0, 1, 1], [1, 0, 0]], dtype=bool)
    assert np.array_equal(runs_of({"size": [2, 3], "counts": [1, 2, 1, 1, 1]}).mask(), expected)


def test_packed_runs_are_unpacked():
    """Five bits a character, low ones first, 48 added; from the fourth run on the difference to two runs before."""
    runs = [49, 10, 20, 10, 11]  # the last two are coded as 10 - 10 = 0 and 11 - 20 = -9
    mask = runs_of({"size": [10, 10], "counts": "a1:d00G"}).mask()
    assert np.array_equal(mask, runs_of({"size": [10, 10], "counts": runs}).mask())
    assert mask.T.flatten().nonzero()[0].tolist() == [*range(49, 59), *range(79, 89)]


def test_runs_that_do_not_add_up_are_refused():
    with pytest.raises(InputError, match="runs of 3 pixels; expected 2×3"):
        runs_of({"size": [2, 3], "counts": [1, 2]}).mask()


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([2, -1, 5], "has a run of -1 pixels; expected none below 0; export it again"),
        ("0c", "has runs of 19 pixels; expected 2×3; export it again"),  # 0, and 19 (low five bits) of a cut-off run
        ("", "has runs of 0 pixels; expected 2×3"),
    ],
)
def test_runs_that_cannot_be_are_refused(counts, told):
    with pytest.raises(InputError, match=told):
        runs_of({"size": [2, 3], "counts": counts}).mask()


def test_packed_runs_may_be_bytes():
    assert runs_of({"size": [2, 2], "counts": b"112"}).mask().tolist() == [[False, False], [True, False]]  # 1, 1, 2


def test_a_mask_may_be_full_or_empty():
    assert runs_of({"size": [2, 3], "counts": [0, 6]}).mask().all()
    assert not runs_of({"size": [2, 3], "counts": [6]}).mask().any()


@pytest.mark.parametrize("counts", [[1, 2, 1, 1, 1], "121O0", [1.0, 2.0, 1.0, 1.0, 1.0]])
def test_instances_may_have_run_lengths_of_any_form(tmp_path, counts):
    draw([{"size": [2, 3], "counts": counts}], (2, 3), tmp_path / "m.png")
    assert np.array(Image.open(tmp_path / "m.png")).tolist() == [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("shape", [None, "112", {"size": [2, 3]}, {"counts": [1]}, {"size": [4, 4], "counts": [16]}])
def test_an_instance_without_a_mask_that_can_be_read_is_told(tmp_path, shape):
    content = {
        "images": [{**IMAGE, "height": 2, "width": 3}],
        "annotations": [{"image_id": 1, "segmentation": shape}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"cannot make .*1\.png \(a COCO mask (is|has) "):
        prepare.run(instance_masks(tmp_path / "instances.json", tmp_path / "masks"))
