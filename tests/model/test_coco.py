import json

import pytest
import torch

from memvos.errors import InputError
from memvos.model.coco import CocoProposals
from memvos.model.interface import Place

IMAGE = torch.zeros(1, 3, 32, 48)
THIRD = Place(3, (("dog", "00003"),))


class Dog:
    """A video, as far as a source looks at it."""

    name, frame_names, size = "dog", ("00000", "00003"), (32, 48)


def coco_results(folder, **changes) -> CocoProposals:
    """A file of one result, a mask of columns 10 to 18."""
    mask = {"size": [32, 48], "counts": [32 * 10, 32 * 8, 32 * 30]}
    entry = {"image_id": "dog/00003", "bbox": [10, 0, 8, 32], "score": 0.8, "segmentation": mask, **changes}
    entry = {key: value for key, value in entry.items() if value is not ...}
    (folder / "results.json").write_text(json.dumps([entry]))
    return CocoProposals(folder / "results.json")


def test_coco_results_are_found_by_frame(tmp_path):
    mask = {"size": [32, 48], "counts": [32 * 10, 32 * 8, 32 * 30]}  # columns 10 to 18
    entry = {"image_id": 7, "bbox": [10, 0, 8, 32], "score": 0.8, "segmentation": mask, "category_id": 3}
    (tmp_path / "results.json").write_text(json.dumps([entry]))
    (tmp_path / "images.json").write_text(json.dumps({"images": [{"id": 7, "file_name": "dog/00003.jpg"}]}))
    source = CocoProposals(tmp_path / "results.json", tmp_path / "images.json")
    found = source(IMAGE, Place(3, (("dog", "00003"),)))
    assert (found.paste((32, 48), (32, 48))[0, 0] > 0.5).nonzero()[:, 1].unique().tolist() == list(range(10, 18))
    assert not source(IMAGE, Place(4, (("dog", "00004"),))).valid.any()


def test_coco_results_of_other_videos_are_refused_before_anything_is_computed(tmp_path):
    coco_results(tmp_path).check([Dog()])  # a frame without results has no proposals
    with pytest.raises(InputError, match="no result of any frame of video 'dog', whose first is '00000'; it names"):
        coco_results(tmp_path, image_id="cat/00003").check([Dog()])


def test_coco_images_are_never_named_by_numbers_alone(tmp_path):
    source = coco_results(tmp_path, image_id=7)
    with pytest.raises(InputError, match='image_id 7 does not name a "video/frame"; give the table of the images'):
        source(IMAGE, Place(3, (("dog", "00003"),)))
    (tmp_path / "images.json").write_text(json.dumps({"images": [{"id": 8, "file_name": "dog/00003.jpg"}]}))
    source.images = tmp_path / "images.json"
    with pytest.raises(InputError, match="image_id 7 is not in "):
        source.check([Dog()])


@pytest.mark.parametrize("key", ["image_id", "bbox", "score", "segmentation"])
@pytest.mark.parametrize("value", [..., None], ids=["missing", "null"])
def test_coco_results_without_what_is_needed_are_refused(tmp_path, key, value):
    with pytest.raises(InputError, match=f"result 0: no {key}; expected image_id, bbox, score, segmentation"):
        coco_results(tmp_path, **{key: value}).check([Dog()])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bbox": [10, 0, 8]}, r"bbox \[10, 0, 8\]; expected \[x, y, width, height\] in pixels"),
        ({"bbox": [10, 0, 8, "wide"]}, "bbox .*'wide'"),
        ({"bbox": [10, 0, float("nan"), 32]}, "bbox .*nan"),
        ({"bbox": 7}, "bbox 7; expected"),
        ({"score": "high"}, "score 'high'; expected a number"),
        (
            {"segmentation": {"size": [32], "counts": [32]}},
            r"size \[32\] and counts \[32\]; expected \[height",
        ),
        ({"segmentation": {"size": [32, 48], "counts": None}}, "counts None; expected"),
        ({"segmentation": {"size": [32, 48], "counts": [1.5, 2]}}, r"counts \[1\.5, 2\]; expected"),
        ({"segmentation": {"size": [32, 48], "counts": [1, 2]}}, "has runs of 3 pixels; expected 32×48"),
        ({"segmentation": {"counts": "112"}}, "size None and counts 112"),
        ({"segmentation": {"size": [0, 0], "counts": []}}, r"size \[0, 0\] and counts \[\]; expected \[height"),
        ({"segmentation": {"size": [-32, -48], "counts": [32 * 48]}}, r"size \[-32, -48\]"),
        ({"image_id": [7]}, r'image_id \[7\]; expected a number, or "video/frame"'),
    ],
)
def test_results_with_other_values_than_coco_has_are_refused_before_anything_is_computed(tmp_path, changes, told):
    with pytest.raises(InputError, match=f"results.json: result 0: .*{told}"):
        coco_results(tmp_path, **changes).check([Dog()])


def test_a_box_far_larger_than_the_frame_is_a_box(tmp_path):
    found = coco_results(tmp_path, bbox=[0, 0, 2**70, 2**70])(IMAGE, THIRD)
    assert found.valid.shape == (1, 1)


def test_masks_of_a_frame_have_one_size(tmp_path):
    masks = [{"size": size, "counts": [size[0] * size[1]]} for size in ([32, 48], [32, 40])]
    entries = [{"image_id": "dog/00003", "bbox": [0, 0, 1, 1], "score": 1, "segmentation": mask} for mask in masks]
    (tmp_path / "results.json").write_text(json.dumps(entries))
    told = r"result 1: its mask has size \[32, 40\], another one of dog/00003 has \[32, 48\]"
    with pytest.raises(InputError, match=told):
        CocoProposals(tmp_path / "results.json").check([Dog()])


def test_coco_files_of_another_form_are_refused(tmp_path):
    with pytest.raises(InputError, match="result 0: polygons; expected run-length masks"):
        coco_results(tmp_path, segmentation=[[0, 0, 1, 1, 2, 0]]).check([Dog()])
    source = coco_results(tmp_path)
    number = '{"images": [{"id": 1, "file_name": 5}]}'
    for content, message in (("[]", 'expected {"images"'), (number, 'expected {"images"'), ("{", "is no JSON")):
        (tmp_path / "images.json").write_text(content)
        source.images = tmp_path / "images.json"
        with pytest.raises(InputError, match=message):
            source.check([Dog()])


def test_coco_files_that_are_not_there_or_of_another_form_are_refused(tmp_path):
    place = Place(0, (("dog", "00000"),))
    with pytest.raises(InputError, match="no file of COCO results is configured; choose a source"):
        CocoProposals()(IMAGE, place)
    with pytest.raises(InputError, match="no COCO results at"):
        CocoProposals(tmp_path / "none.json")(IMAGE, place)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="expected a list of COCO results, got a dict"):
        CocoProposals(tmp_path / "other.json")(IMAGE, place)
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(InputError, match="no COCO images table"):
        CocoProposals(tmp_path / "results.json", tmp_path / "none.json")(IMAGE, place)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[7]", "result 0: no image_id, bbox, score, segmentation; expected image_id, bbox, score, segmentation"),
        ('["image_id"]', "result 0: no image_id, bbox"),
        ('{"annotations": []}', "expected a list of COCO results, got a dict"),
        ("{", r"results\.json is no JSON \(.*\); expected COCO results"),
    ],
)
def test_results_that_are_none_of_coco_are_refused(tmp_path, content, told):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=told):
        CocoProposals(tmp_path / "results.json").check([Dog()])


def test_frames_without_names_are_refused(tmp_path):
    with pytest.raises(InputError, match="this frame has no name; give"):
        coco_results(tmp_path)(IMAGE, Place(3))


def test_boxes_are_corners_in_pixels_of_the_image_that_shows_the_frame(tmp_path):
    source = coco_results(tmp_path)  # x, y, width, height = 10, 0, 8, 32 of a frame of 48×32
    assert source(IMAGE, THIRD).boxes.tolist() == [[[10, 0, 18, 32]]]
    doubled = source(torch.zeros(1, 3, 80, 112), Place(3, THIRD.names, window=(8.0, 4.0, 104.0, 68.0)))
    assert doubled.boxes.tolist() == [[[2 * 10 + 8, 4, 2 * 18 + 8, 2 * 32 + 4]]]
    assert doubled.scores[0].tolist() == pytest.approx([0.8])
    assert source(IMAGE, THIRD).masks.shape == (1, 1, 28, 28)


def test_the_best_results_are_kept_at_the_size_that_is_asked_for(tmp_path):
    coco_results(tmp_path)
    (entry,) = json.loads((tmp_path / "results.json").read_text())
    left = {"size": [32, 48], "counts": [0, 32 * 4, 32 * 44]}  # columns 0 to 4
    entries = [entry, {**entry, "score": 0.7}, {**entry, "score": 0.9, "bbox": [0, 0, 4, 32], "segmentation": left}]
    (tmp_path / "results.json").write_text(json.dumps(entries))

    def scores(**settings):
        return CocoProposals(tmp_path / "results.json", **settings)(IMAGE, THIRD).scores[0].tolist()

    assert scores() == pytest.approx([0.9, 0.8])  # of two that are equal the better one
    assert scores(most=1) == pytest.approx([0.9])
    assert scores(overlap=None) == pytest.approx([0.9, 0.8, 0.7])
    assert CocoProposals(tmp_path / "results.json", grid=5)(IMAGE, THIRD).masks.shape == (1, 2, 5, 5)


def test_a_file_is_read_once(tmp_path):
    source = coco_results(tmp_path)
    source.check([Dog()])
    (tmp_path / "results.json").unlink()
    assert source(IMAGE, THIRD).valid.tolist() == [[True]]
