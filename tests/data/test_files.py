import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from memvos.data.files import (
    MaskFormat,
    image_size,
    list_files,
    natural_key,
    orientation,
    probe,
    read_image,
    require_png,
)
from memvos.errors import InputError


def save_grey(path, values, bits):
    """Write a grey PNG of 2 or 4 bits a pixel."""
    rows = [b"\0" + bytes([int("".join(f"{value:0{bits}b}" for value in row).ljust(8, "0"), 2)]) for row in values]
    header = struct.pack(">II5B", len(values[0]), len(values), bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def save(path, values, mode=None):
    image = Image.fromarray(np.array(values, np.uint8), mode=mode)
    if mode == "P":
        image.putpalette(list(range(256)) * 3)
    image.save(path)
    return path


@pytest.fixture
def jpeg(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=95)
    return tmp_path / "a.jpg"


def test_an_image_is_rgb_and_equals_what_pil_reads(jpeg):
    image = read_image(jpeg)
    assert image.shape == (40, 30, 3)
    assert np.abs(image.astype(int) - np.array(Image.open(jpeg)).astype(int)).max() <= 3


def test_a_grey_image_is_read_as_rgb(tmp_path):
    Image.fromarray(np.full((4, 5), 70, np.uint8)).save(tmp_path / "g.jpg")
    assert read_image(tmp_path / "g.jpg").shape == (4, 5, 3)
    assert (read_image(tmp_path / "g.jpg") == 70).all()


def test_of_16_bit_grey_the_upper_byte_is_read(tmp_path):
    Image.fromarray(np.array([[0, 70 * 256 + 5, 65535]], np.uint16)).save(tmp_path / "g.png")
    assert read_image(tmp_path / "g.png").tolist() == [[[0] * 3, [70] * 3, [255] * 3]]


def test_an_image_of_other_numbers_is_refused(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "f.png", format="tiff")
    with pytest.raises(InputError, match=r"f\.png has mode F; expected 8 or 16 bits"):
        read_image(tmp_path / "f.png")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize(("tag", "expected"), [(None, 1), (1, 1), (6, 6), (8, 8), (0, 1), (9, 1)])
def test_the_orientation_is_that_of_the_exif_and_leaves_the_pixels(tmp_path, suffix, tag, expected):
    exif = Image.Exif()
    if tag is not None:
        exif[0x0112] = tag
    Image.new("RGB", (6, 4)).save(tmp_path / f"a.{suffix}", exif=exif)
    assert orientation(tmp_path / f"a.{suffix}") == expected
    assert read_image(tmp_path / f"a.{suffix}").shape == (4, 6, 3)


def test_a_header_of_a_monstrous_size_is_one_clear_line(tmp_path):
    header = struct.pack(">II5B", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "m.png").write_bytes(data)
    for read in (image_size, read_image):
        with pytest.raises(InputError, match=r"m\.png cannot be read"):
            read(tmp_path / "m.png")


def test_the_size_is_height_then_width(jpeg):
    assert image_size(jpeg) == (40, 30)
    assert probe(jpeg) == (40, 30)


@pytest.mark.parametrize("read", [read_image, probe])
def test_a_truncated_jpeg_is_named(jpeg, read):
    jpeg.write_bytes(jpeg.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"a\.jpg cannot be read .*truncated"):
        read(jpeg)


def test_a_mask_of_another_format_than_png_is_named_whatever_its_suffix(jpeg):
    require_png(save(jpeg.with_name("m.png"), [[0, 1]], "P"))
    renamed = jpeg.rename(jpeg.with_suffix(".png"))
    with pytest.raises(InputError, match=r"mask .*a\.png is a JPEG file; expected a PNG, .*; export it again as PNG"):
        require_png(renamed)


@pytest.mark.parametrize("read", [read_image, probe, require_png, MaskFormat().read])
def test_a_file_that_is_no_image_is_named(tmp_path, read):
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(InputError, match=r"x\.png cannot be read \(not an image\); expected a whole JPEG or PNG"):
        read(tmp_path / "x.png")


@pytest.mark.parametrize("read", [read_image, probe, image_size, require_png, MaskFormat().read])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(InputError, match=r"x\.png does not exist"):
        read(tmp_path / "x.png")


def test_a_png_damaged_in_its_middle_is_named(tmp_path):
    path = save(tmp_path / "m.png", np.random.default_rng(0).integers(0, 9, (50, 50)), "L")
    data = bytearray(path.read_bytes())
    data[200:220] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"mask .*m\.png cannot be read"):
        MaskFormat().read(path)


def test_palette_values_are_object_ids(tmp_path):
    path = save(tmp_path / "m.png", [[0, 1], [2, 7]], "P")
    assert MaskFormat().read(path).tolist() == [[0, 1], [2, 7]]


@pytest.mark.parametrize("mode", ["L", "P"])
def test_255_alone_is_the_one_object_and_not_void(tmp_path, mode):
    path = save(tmp_path / "m.png", [[0, 255], [255, 0]], mode)
    assert MaskFormat().read(path).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("grey", "alpha", "labels"),
    [
        ([[0, 255], [0, 255]], [[255, 255], [255, 255]], [[0, 1], [0, 1]]),
        ([[255, 255], [255, 255]], [[0, 255], [0, 128]], [[0, 1], [0, 1]]),  # the shape is in the alpha
        ([[0, 3], [7, 9]], [[255, 0], [1, 255]], [[0, 0], [7, 9]]),
        ([[0, 255], [0, 255]], [[0, 0], [0, 0]], [[0, 1], [0, 1]]),  # which says nothing
    ],
)
def test_what_is_transparent_is_background_unless_all_is(tmp_path, grey, alpha, labels):
    channels = [Image.fromarray(np.array(values, np.uint8)) for values in (grey, alpha)]
    Image.merge("LA", channels).save(tmp_path / "m.png")
    assert MaskFormat().read(tmp_path / "m.png").tolist() == labels


def test_white_is_the_object_of_a_black_and_white_mask(tmp_path):
    Image.fromarray(np.array([[False, True], [True, False]])).save(tmp_path / "m.png")
    assert Image.open(tmp_path / "m.png").mode == "1"
    assert MaskFormat().read(tmp_path / "m.png").tolist() == [[0, 1], [1, 0]]
    assert MaskFormat(threshold=True).read(tmp_path / "m.png").tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(("bits", "values"), [(2, [[0, 1], [2, 3]]), (4, [[0, 1], [14, 15]])])
def test_grey_values_of_few_bits_are_object_ids_as_they_are_stored(tmp_path, bits, values):
    path = save_grey(tmp_path / "m.png", values, bits)
    assert Image.open(path).mode == "L"
    assert MaskFormat().read(path).tolist() == values
    assert MaskFormat(threshold=True).read(path).tolist() == [[0, 0], [1, 1]]  # they are cut by their brightness


def test_values_of_a_16_bit_mask_are_object_ids_up_to_255(tmp_path):
    Image.fromarray(np.array([[0, 1], [2, 254]], np.uint16)).save(tmp_path / "m.png")
    assert MaskFormat().read(tmp_path / "m.png").tolist() == [[0, 1], [2, 254]]
    assert MaskFormat().read(tmp_path / "m.png").dtype == np.uint8


@pytest.mark.parametrize(("mode", "colour"), [("I;16", 256), ("RGB", 0)])
def test_a_mask_of_another_mode_is_refused(tmp_path, mode, colour):
    Image.new(mode, (4, 4), colour).save(tmp_path / "m.png")
    told = rf"m\.png has mode {mode}; expected a palette \(P\) or grey \(L\) PNG .* save the ids as an 8-bit grey or"
    with pytest.raises(InputError, match=told):
        MaskFormat().read(tmp_path / "m.png")


def test_255_beside_other_values_is_refused_with_both_remedies(tmp_path):
    path = save(tmp_path / "m.png", [[0, 3], [90, 255]], "L")
    with pytest.raises(InputError, match=r"255 beside 2 other values \(3, 90\).*ignore=\[255\].*threshold=true"):
        MaskFormat().read(path)


def test_ignored_values_are_background(tmp_path):
    path = save(tmp_path / "m.png", [[0, 1], [2, 255]], "P")
    assert MaskFormat(ignore=(255,)).read(path).tolist() == [[0, 1], [2, 0]]


def test_smoothed_masks_are_cut_at_128(tmp_path):
    path = save(tmp_path / "m.png", [[0, 127], [128, 255]], "L")
    assert MaskFormat(threshold=True).read(path).tolist() == [[0, 0], [1, 1]]


def test_what_is_ignored_is_so_before_a_mask_is_cut(tmp_path):
    path = save(tmp_path / "m.png", [[0, 100], [200, 255]], "L")
    assert MaskFormat(threshold=True, ignore=(255,)).read(path).tolist() == [[0, 0], [1, 0]]
    assert MaskFormat(threshold=True, ignore=(200,)).read(path).tolist() == [[0, 0], [0, 1]]


def test_merged_objects_have_id_1(tmp_path):
    path = save(tmp_path / "m.png", [[0, 1], [2, 7]], "P")
    assert MaskFormat(merge=True).read(path).tolist() == [[0, 1], [1, 1]]


def test_frame_2_comes_before_frame_10():
    assert sorted(["f10", "f2", "f1b", "f1"], key=natural_key) == ["f1", "f1b", "f2", "f10"]


def test_hidden_files_and_other_suffixes_are_left_out(tmp_path):
    for name in ("b.png", "a.png", "._a.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/c.PNG").touch()
    assert [path.name for path in list_files(tmp_path, (".png",))] == ["a.png", "b.png"]
    assert [path.name for path in list_files(tmp_path, (".png",), deep=True)] == ["a.png", "b.png", "c.PNG"]


@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".git", "@eaDir", "__MACOSX"])
def test_hidden_folders_are_not_looked_into(tmp_path, name):
    for folder in (tmp_path / "a", tmp_path / name, tmp_path / "a" / name):
        folder.mkdir()
        (folder / "0.png").touch()
    assert list_files(tmp_path, (".png",), deep=True) == [tmp_path / "a/0.png"]


def test_linked_folders_are_looked_into_and_no_circle_is_followed(tmp_path):
    (tmp_path / "set/a").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for name in ("set/a/0.png", "other/1.png"):
        (tmp_path / name).touch()
    (tmp_path / "set/b").symlink_to(tmp_path / "other")
    (tmp_path / "set/a/up").symlink_to(tmp_path / "set")
    (tmp_path / "other/back").symlink_to(tmp_path / "other")
    found = list_files(tmp_path / "set", (".png",), deep=True)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["set/a/0.png", "set/b/1.png"]
    assert list_files(tmp_path / "nowhere", (".png",), deep=True) == []


@pytest.mark.parametrize("ignore", [255, "255", [256], [True], ["255"]])
def test_what_is_ignored_is_a_list_of_mask_values(ignore):
    with pytest.raises(InputError, match=r"expected ignore to be a list of mask values, e\.g\. \[255\], got "):
        MaskFormat(ignore=ignore)
    assert MaskFormat(ignore=[0, 255]) == MaskFormat(ignore=(0, 255))


@pytest.mark.parametrize("name", ["threshold", "merge"])
@pytest.mark.parametrize("value", ["no", 1, None])
def test_what_is_on_or_off_is_true_or_false(name, value):
    with pytest.raises(InputError, match=f"expected {name}=true or {name}=false, got {value!r}"):
        MaskFormat(**{name: value})
