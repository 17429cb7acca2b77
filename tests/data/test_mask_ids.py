import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from memvos.data.files import MaskFault, MaskFormat
from memvos.data.mask_ids import PALETTE_GREYS, differs_from_meta, look_at
from memvos.data.meta import MetaObject
from memvos.data.sequences import Video
from memvos.errors import InputError

PLAIN = MaskFormat()
DAVIS_COLOURS = [(128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128), (128, 128, 128)]
DAVIS_COLOURS += [(64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0), (64, 0, 128), (192, 0, 128), (64, 128, 128)]
DAVIS_COLOURS += [(192, 128, 128)]
"""Of the ids 1 … 15."""


@pytest.fixture
def mask(tmp_path):
    """A function that writes a mask of solid squares of 4×4 pixels, one value each, side by side; returns its path."""

    def write(*values: int, mode: str = "L") -> Path:
        image = Image.fromarray(np.repeat(np.repeat(np.uint8([values]), 4, axis=0), 4, axis=1))
        if mode == "P":
            image.putpalette(range(256))
        image.convert(mode).save(tmp_path / "m.png")
        return tmp_path / "m.png"

    return write


@pytest.fixture
def ramp(tmp_path):
    """A function that writes a mask of lines side by side, each one pixel wide and of its own id, and solid squares."""

    def write(lines: int, solid: int) -> Path:
        values = np.zeros((8, lines + 1 + 4 * solid), np.uint8)
        values[:, :lines] = np.arange(lines) + 1
        for k in range(solid):
            values[2:6, lines + 1 + 4 * k : lines + 4 + 4 * k] = lines + k + 1
        return save(tmp_path, values)

    return write


def kinds(reading: MaskFormat, path: Path) -> list[str]:
    return [kind for kind, _ in look_at(reading, path)[1]]


def present(reading: MaskFormat, path: Path) -> set[int]:
    return look_at(reading, path)[0]


def save(folder: Path, values: np.ndarray) -> Path:
    Image.fromarray(values).save(folder / "m.png")
    return folder / "m.png"


def test_the_objects_of_a_mask_are_its_values_above_zero(mask):
    assert present(PLAIN, mask(0, 3, 1, 200)) == {1, 3, 200}
    assert present(PLAIN, mask(0, 0)) == set()


def test_the_objects_are_those_that_the_format_reads(mask):
    assert present(MaskFormat(ignore=(255,)), mask(0, 2, 255)) == {2}
    assert present(MaskFormat(merge=True), mask(0, 2, 5)) == {1}
    assert present(PLAIN, mask(0, 255)) == {1}


def test_a_mask_that_cannot_be_read_is_told(mask, tmp_path):
    with pytest.raises(InputError, match=r"holds 255 beside 1 other values \(2\); expected object ids"):
        present(PLAIN, mask(0, 2, 255))
    with pytest.raises(InputError, match=r"mask .*nothing\.png does not exist"):
        present(PLAIN, tmp_path / "nothing.png")


def test_the_known_greys_hold_those_of_the_davis_palette_rounded_down_or_to_the_nearest():
    thousandths = [299 * red + 587 * green + 114 * blue for red, green, blue in DAVIS_COLOURS]
    assert {grey // 1000 for grey in thousandths} | {(grey + 500) // 1000 for grey in thousandths} <= PALETTE_GREYS
    assert set(np.unique(Image.fromarray(np.uint8([DAVIS_COLOURS])).convert("L")).tolist()) <= PALETTE_GREYS


def test_a_grey_mask_of_the_brightness_of_palette_colours_has_lost_its_palette(mask):
    (found,) = look_at(PLAIN, mask(0, 38, 75))[1]
    assert found[0] == "no palette"
    assert "is grey with the values 38, 75, which are the brightness of the colours of the DAVIS palette" in found[1]
    assert kinds(PLAIN, mask(0, 38, 75, mode="LA")) == ["no palette"]
    assert kinds(MaskFormat(merge=True), mask(0, 38, 75)) == ["no palette"]  # looked at before ids are merged


@pytest.mark.parametrize(
    ("values", "mode"), [((0, 38, 75), "P"), ((0, 75, 113), "L"), ((0, 38, 40), "L"), ((0, 1, 2), "L"), ((0, 0), "L")]
)
def test_a_mask_with_a_palette_without_the_first_colour_or_with_other_values_has_not(mask, values, mode):
    assert kinds(PLAIN, mask(*values, mode=mode)) == []


@pytest.mark.parametrize(
    ("palette", "found"),
    [
        ([128, 0, 0, 0, 0, 0], ["no palette"]),  # as PIL numbers the colours of a mask it makes a palette for
        ([128, 0, 0, 9, 9, 9, 0, 0, 0], []),  # no pixel is black
        ([0, 0, 0, 128, 0, 0], []),
        ([0, 0, 0, 0, 0, 0], []),
    ],
)
def test_a_palette_mask_whose_black_is_an_object_has_lost_its_palette(tmp_path, palette, found):
    image = Image.fromarray(np.repeat(np.repeat(np.uint8([[1, 0, 1]]), 4, axis=0), 4, axis=1))
    image.putpalette(palette)
    image.save(tmp_path / "m.png")
    assert kinds(PLAIN, tmp_path / "m.png") == found
    assert kinds(MaskFormat(merge=True), tmp_path / "m.png") == found
    if found:
        said = r"value 0, which is the background, in colour \(128, 0, 0\) and value 1 in black; expected black for 0"
        assert re.search(said, look_at(PLAIN, tmp_path / "m.png")[1][0][1])


def test_ids_that_are_edges_mostly_are_a_smoothed_mask(ramp):
    (found,) = look_at(PLAIN, ramp(lines=3, solid=1))[1]
    assert found[0] == "smoothed mask"
    assert "holds 4 ids, most of them only along edges; expected a few solid objects" in found[1]


@pytest.mark.parametrize(("lines", "solid"), [(3, 0), (2, 2), (0, 6)])
def test_a_few_thin_objects_and_many_solid_ones_are_no_smoothed_mask(ramp, lines, solid):
    assert kinds(PLAIN, ramp(lines, solid)) == []


@pytest.mark.parametrize(("height", "width"), [(2, 2), (8, 2), (8, 1), (1, 1)])
def test_many_objects_of_few_pixels_with_background_around_them_are_no_smoothed_mask(tmp_path, height, width):
    values = np.zeros((8, 20), np.uint8)
    for k in range(5):
        values[:height, 4 * k : 4 * k + width] = k + 1
    assert kinds(PLAIN, save(tmp_path, values)) == []


def test_two_columns_wide_objects_that_touch_are_no_smoothed_mask(tmp_path):
    values = np.repeat(np.uint8([[0, 1, 2, 3, 4, 0]]), 2, axis=1).repeat(8, axis=0)
    assert kinds(PLAIN, save(tmp_path, values)) == []  # two of the four, in the middle, have no other neighbours


@pytest.mark.parametrize(("value", "reading"), [(200, PLAIN), (255, MaskFormat(ignore=(255,)))])
def test_an_object_that_was_made_smaller_with_smoothing_is_a_smoothed_mask(tmp_path, value, reading):
    large = cv2.circle(np.zeros((240, 240), np.uint8), (117, 122), 90, value, cv2.FILLED)
    small = cv2.resize(large, (30, 30), interpolation=cv2.INTER_AREA)
    assert kinds(reading, save(tmp_path, small)) == ["smoothed mask"]


def test_grey_values_that_are_cut_at_a_threshold_are_not_looked_at(ramp, mask):
    cut = MaskFormat(threshold=True)
    assert kinds(cut, ramp(lines=9, solid=0)) == kinds(cut, mask(0, 38, 75)) == []


def test_a_jpeg_is_refused_whatever_its_suffix_unless_its_grey_values_are_cut(tmp_path):
    Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), 8)).save(tmp_path / "m.png", "JPEG")
    with pytest.raises(MaskFault, match=r"mask .*m\.png is a JPEG file; expected a PNG, which keeps values") as told:
        look_at(PLAIN, tmp_path / "m.png")
    assert told.value.kind == "smoothed mask"
    assert present(MaskFormat(threshold=True), tmp_path / "m.png") == {1}


VIDEO = Video("v", [Path(f"{t}.jpg") for t in range(3)], {})
DOG, CAT = MetaObject("dog", "0"), MetaObject("cat", "1")


@pytest.mark.parametrize("complete", [True, False])
def test_masks_of_the_objects_that_meta_names_are_no_fault(complete):
    assert differs_from_meta(VIDEO, {1: "0", 2: "1"}, {1: DOG, 2: CAT}, complete) is None
    assert differs_from_meta(VIDEO, {1: "2"}, {1: MetaObject("dog", None)}, complete) is None  # it tells no first frame


@pytest.mark.parametrize("complete", [True, False])
def test_an_object_that_meta_does_not_name_is_told(complete):
    said = "video 'v' has masks of objects 1, 3, meta.json names 1; download both again"
    assert differs_from_meta(VIDEO, {3: "0", 1: "0"}, {1: DOG}, complete) == said
    assert "meta.json names none" in differs_from_meta(VIDEO, {1: "0"}, {}, complete)


def test_an_object_may_be_missing_as_long_as_not_all_masks_were_looked_at():
    assert differs_from_meta(VIDEO, {1: "0"}, {1: DOG, 2: CAT}, complete=False) is None
    said = "video 'v' has masks of objects none, meta.json names 1, 2; download both again"
    assert differs_from_meta(VIDEO, {}, {1: DOG, 2: CAT}, complete=True) == said


def test_an_object_that_comes_in_another_frame_than_meta_says_is_told():
    assert differs_from_meta(VIDEO, {1: "0", 2: "2"}, {1: DOG, 2: CAT}, complete=True) == (
        "object 2 of video 'v' is first masked in frame 2, meta.json says 1; download both again"
    )
    assert differs_from_meta(VIDEO, {1: "0", 2: "2"}, {1: DOG, 2: CAT}, complete=False) is None
