"""Which frames given masks are for, and how a bad one among them is told."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from memvos.app.given_masks import find_masks, look_over, names_of, noted
from memvos.data.files import MaskFormat
from memvos.errors import InputError

FOLDER = SimpleNamespace(names=["a", "b", "c"])  # frames with names
VIDEO = []  # frames that come without, of unknown number


def save(path, values):
    Image.fromarray(np.array(values, np.uint8)).save(path)
    return path


def test_a_single_mask_is_for_the_frame_of_its_name_or_else_the_first(tmp_path):
    named, other, number = (save(tmp_path / f"{name}.png", [[1]]) for name in ("b", "first", "00025"))
    assert find_masks(named, FOLDER) == {"b": named}
    assert find_masks(other, FOLDER) == {"a": other}
    assert find_masks(other, VIDEO) == {"00000": other}
    assert find_masks(number, VIDEO) == {"00025": number}


def test_masks_of_a_folder_are_named_as_their_frames(tmp_path):
    for name in ("c", "a"):
        save(tmp_path / f"{name}.png", [[1]])
    (tmp_path / "notes.txt").write_text("no mask")
    assert [*find_masks(tmp_path, FOLDER)] == ["a", "c"]
    with pytest.raises(InputError, match=r"2 masks in .* have no frame of their name in the video \(first: a\.png\)"):
        find_masks(tmp_path, SimpleNamespace(names=["x"]))
    with pytest.raises(InputError, match="frames are named 00000, 00001, …; name masks as their frames"):
        find_masks(tmp_path, VIDEO)


def test_a_number_that_no_frame_has_is_told_before_frames_are_read(tmp_path):
    last, late = (save(tmp_path / f"{name}.png", [[1]]) for name in ("00011", "00012"))
    video = [None] * 12
    assert find_masks(last, video) == {"00011": last}
    told = (
        r"00012\.png have no frame .*; frames are named 00000 to 00011; name masks as their frames \(a single one, of "
    )
    with pytest.raises(InputError, match=told + "the first frame, may have any name that is no number"):
        find_masks(late, video)
    with pytest.raises(InputError, match=r"1 masks in .*\(first: 00012\.png\).* name masks as their frames$"):
        find_masks(tmp_path, video)


def test_no_mask_at_all_is_told(tmp_path):
    with pytest.raises(InputError, match=r"no mask at .*nothing; give the mask of the first frame"):
        find_masks(tmp_path / "nothing", FOLDER)
    with pytest.raises(InputError, match=r"holds no \.png file; expected masks named as their frames"):
        find_masks(tmp_path, FOLDER)


def test_frames_without_names_have_numbers():
    assert names_of(VIDEO)("00007")
    assert not names_of(VIDEO)("a")
    assert names_of(FOLDER)("a")
    assert not names_of(FOLDER)("00007")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([[1, 0, 0]], r"b\.png is 3×1 pixels, a\.png 2×1; expected one size"),
        ([[0, 0]], r"b\.png shows no object, only background"),
        ([[255, 7]], r"b\.png holds 255 beside 1 other values \(7\)"),
    ],
)
def test_every_mask_is_looked_at(tmp_path, values, told):
    good, bad = save(tmp_path / "a.png", [[1, 0]]), save(tmp_path / "b.png", values)
    look_over([good, good], MaskFormat())
    with pytest.raises(InputError, match=told):
        look_over([good, bad], MaskFormat())


def test_a_mask_whose_values_are_no_ids_any_more_is_told(tmp_path):
    square = Image.fromarray(np.pad(np.full((20, 20), 200, np.uint8), 10))
    smooth = save(tmp_path / "b.png", square.resize((80, 80), Image.Resampling.BILINEAR))
    with pytest.raises(InputError, match=r"b\.png holds \d+ ids, most of them only along edges; .* threshold=true"):
        look_over([smooth], MaskFormat())
    look_over([smooth], MaskFormat(threshold=True))
    with pytest.raises(InputError, match=r"b\.png is grey with the values 38, 75, which are the brightness of the"):
        look_over([save(smooth, [[0, 38, 75]])], MaskFormat())


@pytest.mark.parametrize("values", [[[0, 255]], [[0, 200]], [[1, 2, 30]], [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 0]] * 3])
def test_masks_of_a_few_solid_objects_pass_whatever_their_ids(tmp_path, values):
    look_over([save(tmp_path / "a.png", values)], MaskFormat())


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_mask_that_is_no_png_is_told(tmp_path, name):
    Image.fromarray(np.full((8, 8), 3, np.uint8)).save(tmp_path / name, "JPEG")
    with pytest.raises(InputError, match=f"mask .*{name} is a JPEG file; expected a PNG, .*; export it again as PNG"):
        look_over([tmp_path / name], MaskFormat())


def test_what_is_given_is_noted(tmp_path):
    given: dict[str, list[int]] = {}
    labels = noted(given, "a", lambda: np.array([[0, 3], [9, 3]]))
    assert labels[1, 0] == 9
    assert given == {"a": [3, 9]}
