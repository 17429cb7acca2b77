import shutil

import numpy as np
import pytest
from PIL import Image

from memvos.data import check, raise_faults
from memvos.data.files import MaskFormat
from memvos.data.trees import DavisTree, FolderTree, ImageTree, image_trees
from memvos.errors import InputError


def kinds(faults):
    return {fault.kind: fault.count for fault in faults}


def test_a_sound_tree_has_no_fault(davis_root, static_root):
    assert check(DavisTree(davis_root, "train")) == []
    assert check(ImageTree(static_root)) == []
    raise_faults(DavisTree(davis_root, "train"), [])


def test_a_video_of_one_mask_is_noted_where_clips_are_to_be_drawn(davis_root):
    for mask in (davis_root / "Annotations/480p/cars").iterdir():
        if mask.stem != "00000":
            mask.unlink()
    tree = DavisTree(davis_root, "train")
    assert check(tree) == []
    (fault,) = check(tree, clips=True)
    assert str(fault).startswith("one mask only (1×): video 'cars' has 1 annotated frames; expected at least 2 to")
    raise_faults(tree, [fault])


def test_missing_masks_are_noted_where_every_frame_has_one(davis_root):
    for t in (2, 3):
        (davis_root / f"Annotations/480p/cars/0000{t}.png").unlink()
    tree = DavisTree(davis_root, "train")
    for thorough in (False, True):
        (fault,) = check(tree, thorough)
        assert str(fault).startswith("missing masks (1×): video 'cars' has masks of 4 of its 6 frames (first without:")
        assert "first without: 00002); expected all of them, or the first alone; restore them" in fault.example
        raise_faults(tree, [fault])
    assert "missing masks" not in kinds(check(FolderTree(davis_root)))  # where objects enter late, masks may be rare


def turn(path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).save(path, exif=exif)


def test_images_that_their_exif_turns_are_noted(davis_root, static_root):
    for t in (1, 4):
        turn(davis_root / f"JPEGImages/480p/cars/0000{t}.jpg", 6)
    turn(davis_root / "JPEGImages/480p/cars/00002.jpg", 1)
    turn(static_root / "images/00001.jpg", 3)
    tree = DavisTree(davis_root, "train")
    for thorough in (False, True):
        (fault,) = check(tree, thorough)
        assert str(fault).startswith("rotated by EXIF (2×): ")
        assert "cars/00001.jpg has the EXIF orientation 6, which is not applied; expected masks that" in fault.example
        assert fault.example.endswith("; turn the files upright, e.g. by mogrify -auto-orient, before masks are drawn")
        raise_faults(tree, [fault])
    assert kinds(check(ImageTree(static_root))) == {"rotated by EXIF": 1}


def test_what_is_turned_by_a_quarter_is_not_to_be_resized(davis_root, static_root):
    told = "; it is turned by a quarter: turn it, or the image it belongs to (by its EXIF: mogrify -auto-orient)"
    for path in (davis_root / "Annotations/480p/bird/00002.png", static_root / "masks/00001.png"):
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    for tree in (DavisTree(davis_root, "train"), ImageTree(static_root)):
        (fault,) = check(tree)
        assert (fault.kind, fault.example.endswith(told), "resize" in fault.example) == ("sizes differ", True, False)
    with pytest.raises(InputError, match="expected equal sizes; it is turned by a quarter: turn it, or the image"):
        DavisTree(davis_root, "train").videos[0].labels(2)


def test_videos_without_frames_are_noted(davis_root):
    (davis_root / "JPEGImages/480p/later").mkdir()
    (davis_root / "Annotations/480p/lost").mkdir()
    Image.new("L", (64, 48)).save(davis_root / "Annotations/480p/lost/00000.png")
    tree = FolderTree(davis_root, images="JPEGImages/480p", masks="Annotations/480p")
    fault = next(fault for fault in check(tree) if fault.kind == "missing frames")
    assert fault.count == 2
    assert "JPEGImages/480p/later holds no frames, so that its video is left out" in fault.example
    assert kinds(check(FolderTree(davis_root)))["missing frames"] == 1  # below a folder of a resolution
    raise_faults(tree, [fault])


def test_every_kind_of_fault_is_named_once_and_counted(davis_root):
    masks, images = davis_root / "Annotations/480p", davis_root / "JPEGImages/480p"
    for t in (2, 3):
        path = images / f"bird/0000{t}.jpg"
        path.write_bytes(path.read_bytes()[:-100])
    Image.new("L", (32, 48)).save(masks / "bird/00004.png")
    Image.fromarray(np.full((48, 64), 5, np.uint8)).save(masks / "cars/00005.png")
    (masks / "dog/00000.png").unlink()
    train, val = check(DavisTree(davis_root, "train")), check(DavisTree(davis_root, "val"))
    assert kinds(train) == {"unreadable file": 2, "sizes differ": 1, "unknown object id": 1}
    assert kinds(val) == {"no first mask": 1}
    assert "bird/00002.jpg cannot be read" in train[0].example
    assert "bird/00004.png is 32×48 pixels, video 'bird' 64×48" in train[1].example
    assert "cars/00005.png holds object 5; expected only the ids of the first mask (1, 2)" in train[2].example
    assert train[2].example.endswith("; correct the mask, or take data=folder, where objects may enter later")
    with pytest.raises(InputError, match=r"data davis/train: unreadable file \(2×\): .*\(and 2 more kinds of fault"):
        raise_faults(DavisTree(davis_root, "train"), train)
    with pytest.raises(InputError, match=r"data davis/val: no first mask \(1×\): video 'dog'"):
        raise_faults(DavisTree(davis_root, "val"), val)


def test_the_quick_check_finds_what_headers_ends_and_first_masks_show(davis_root):
    masks, images = davis_root / "Annotations/480p", davis_root / "JPEGImages/480p"
    (images / "cars/00001.jpg").write_text("no image")
    Image.new("L", (64, 48)).save(masks / "bird/00000.png")
    Image.new("RGB", (64, 48)).save(masks / "cars/00000.png")
    faults = check(DavisTree(davis_root, "train"), thorough=False)
    assert kinds(faults) == {"no object": 1, "no palette": 1, "unreadable file": 1}


def test_damage_in_the_middle_of_a_mask_is_found_by_the_thorough_check_only(davis_root):
    path = davis_root / "Annotations/480p/dog/00003.png"
    data = bytearray(path.read_bytes())
    middle = data.index(b"IDAT") + 10
    data[middle : middle + 20] = bytes(20)
    path.write_bytes(data)
    assert kinds(check(DavisTree(davis_root, "val"))) == {"unreadable file": 1}
    assert check(DavisTree(davis_root, "val"), thorough=False) == []


def test_objects_that_enter_late_are_no_fault_of_a_folder(davis_root):
    Image.fromarray(np.full((48, 64), 5, np.uint8)).save(davis_root / "Annotations/480p/cars/00005.png")
    assert "unknown object id" not in kinds(check(FolderTree(davis_root)))


def test_faults_of_static_images_are_named(static_root):
    Image.new("L", (64, 48)).save(static_root / "masks/00000.png")
    Image.new("L", (64, 40)).save(static_root / "masks/00001.png")
    path = static_root / "images/00002.jpg"
    path.write_bytes(path.read_bytes()[:-50])
    faults = check(ImageTree(static_root))
    assert kinds(faults) == {"no object": 1, "sizes differ": 1, "unreadable file": 1}
    assert str(faults[1]).startswith("sizes differ (1×): mask ")
    assert "00001.png is 64×40 pixels, its image 64×48" in faults[1].example


def test_later_masks_are_looked_at_as_the_first_where_all_are_decoded(davis_root):
    path = davis_root / "Annotations/480p/dog/00003.png"
    Image.fromarray(np.array([0, 38, 75], np.uint8)[np.array(Image.open(path))]).save(path)
    tree = DavisTree(davis_root, "val")
    assert kinds(check(tree)) == {"no palette": 1, "unknown object id": 1}
    assert check(tree, thorough=False) == []
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) % 12, (48, 1))).save(path)
    assert kinds(check(FolderTree(davis_root)))["smoothed mask"] == 1


@pytest.mark.parametrize(("thorough", "masks"), [(False, 2), (True, 12)])
def test_a_mask_is_decoded_once(davis_root, monkeypatch, thorough, masks):
    read, paths = MaskFormat.read, []
    monkeypatch.setattr(MaskFormat, "read", lambda reading, path: paths.append(path) or read(reading, path))
    check(DavisTree(davis_root, "train"), thorough)
    assert (len(paths), len(set(paths))) == (masks, masks)


def test_masks_without_an_image_and_two_images_of_one_mask_are_named(static_root):
    shutil.copy(static_root / "masks/00001.png", static_root / "masks/more.png")
    Image.new("RGB", (64, 48)).save(static_root / "images/00002.png")
    for tree in (ImageTree(static_root), image_trees([static_root])):
        alone, double = check(tree)
        assert (alone.kind, double.kind) == ("missing image", "images of one name")
        assert "masks/more.png has no image of its name, so that it is left out" in alone.example
        assert "images/00002.jpg and " in double.example
        assert "images/00002.png have one name, and only the latter is read" in double.example
        raise_faults(tree, [alone])
        with pytest.raises(InputError, match=r"images of one name \(1×\): .*remove one of the two"):
            raise_faults(tree, [alone, double])
    assert kinds(check(ImageTree(static_root, unmasked=True))) == {"images of one name": 1}


@pytest.mark.shared
def test_the_real_data_check_clean(shared):
    data = shared / "data"
    assert check(DavisTree(data / "davis2016", "train"), thorough=False) == []
    for tree in (
        DavisTree(data / "davis2016", "val", subset=":4"),
        DavisTree(data / "davis2016", "val_480p", subset=":1"),
        FolderTree(data / "davis2017_multi"),
        FolderTree(data / "xmem2_examples"),
        ImageTree(data / "static_images"),
    ):
        assert check(tree) == []
