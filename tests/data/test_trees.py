import numpy as np
import pytest
from PIL import Image

from memvos.data.trees import DavisTree, FolderTree, ImageTree
from memvos.errors import InputError


def test_a_davis_tree_has_the_videos_of_its_split(davis_root):
    tree = DavisTree(davis_root, "train")
    assert [video.name for video in tree.videos] == ["bird", "cars"]
    assert [len(video) for video in tree.videos] == [6, 6]
    assert [video.object_ids for video in tree.videos] == [(1,), (1, 2)]
    assert tree.name == "davis/train"


def test_attributes_are_kept_by_name(davis_root):
    tree = DavisTree(davis_root, "train", attributes={"cars": ["occlusion"]})
    assert [video.attributes for video in tree.videos] == [(), ("occlusion",)]


def test_named_videos_of_a_folder_are_kept_in_the_order_given(davis_root):
    assert [video.name for video in FolderTree(davis_root, videos=["dog", "bird"]).videos] == ["dog", "bird"]
    with pytest.raises(InputError, match=r"found no video 'cat' in .*; got bird, cars, dog"):
        FolderTree(davis_root, videos=["cat"])


def test_a_folders_test_videos_are_not_trained_on(davis_root):
    assert [video.name for video in FolderTree(davis_root, without=["dog", "elsewhere"]).videos] == ["bird", "cars"]
    assert [video.name for video in FolderTree(davis_root, videos="dog").videos] == ["dog"]
    with pytest.raises(InputError, match=r"video 'dog' of .* is to be trained on and to be tested on"):
        FolderTree(davis_root, videos=["dog", "bird"], without=["dog"])
    with pytest.raises(InputError, match=r"no video of .* is left to train on \(3 there"):
        FolderTree(davis_root, without=["bird", "cars", "dog"])


def test_a_folder_is_counted_where_nothing_of_it_is_left_out(davis_root):
    official = {"videos": 3}
    assert FolderTree(davis_root, official=official, without="elsewhere").official == official
    for part in ({"videos": "dog"}, {"without": "dog"}):
        assert FolderTree(davis_root, official=official, **part).official == {}


def test_a_folder_without_videos_says_what_it_expects(tmp_path):
    with pytest.raises(InputError, match=r"found no video below .*; expected JPEGImages/<video>/\*\.jpg"):
        FolderTree(tmp_path)


def test_an_image_tree_pairs_by_stem(static_root):
    tree = ImageTree(static_root)
    assert [still.name for still in tree.images] == ["00000", "00001", "00002"]
    assert tree.images[1].image().shape == (48, 64, 3)
    assert np.unique(tree.images[1].labels()).tolist() == [0, 1, 2]
    assert len(tree.stills()) == 3


def test_an_image_tree_reads_one_folder_and_endings(tmp_path):
    for name in ("cup/1", "cup/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6)).save(tmp_path / f"{name}_im.jpg")
        Image.new("L", (8, 6), 200).save(tmp_path / f"{name}_gt.png")
    tree = ImageTree(tmp_path, ".", ".", image_ending="_im", mask_ending="_gt", threshold=True)
    assert [still.name for still in tree.images] == ["cup/1", "cup/2"]
    assert tree.images[0].labels().min() == 1


def test_masks_may_lie_outside_of_the_root(static_root, tmp_path):
    (static_root / "masks").rename(tmp_path / "labels")
    tree = ImageTree(static_root, masks=str(tmp_path / "labels"))
    assert len(tree.images) == 3
    assert tree.fingerprint()


def test_masks_without_an_image_and_the_images_that_are_not_taken_are_kept_in_mind(static_root):
    (static_root / "images/00001.jpg").unlink()
    (static_root / "images/00002.png").touch()
    tree = ImageTree(static_root)
    assert [still.image_path.name for still in tree.images] == ["00000.jpg", "00002.png"]
    assert tree.without_image == [static_root / "masks/00001.png"]
    assert tree.doubles == [(static_root / "images/00002.jpg", static_root / "images/00002.png")]
    assert ImageTree(static_root, unmasked=True).without_image == []


def test_an_image_without_a_mask_is_counted(static_root):
    (static_root / "masks/00001.png").unlink()
    with pytest.raises(InputError, match=r"got 1 of 3 images without a mask \(first: 00001\)"):
        ImageTree(static_root)


def test_an_image_tree_without_its_folders_or_images_is_refused(static_root):
    with pytest.raises(InputError, match=r"found no folder .*/pictures; .*set images= and masks="):
        ImageTree(static_root, images="pictures")
    for path in (static_root / "images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"got no image; expected masks/<name>\.png for every images/<name>\.jpg"):
        ImageTree(static_root)


@pytest.mark.shared
def test_the_davis_2016_videos_are_read_at_both_resolutions(shared):
    root = shared / "data/davis2016"
    train, val, large = (DavisTree(root, split) for split in ("train", "val", "val_480p"))
    assert (len(train.videos), len(val.videos), len(large.videos)) == (27, 10, 5)
    assert train.videos[0].image(0).shape == (240, 427, 3)
    assert large.videos[0].image(0).shape == (480, 854, 3)
    assert {video.object_ids for video in (*val.videos, *large.videos)} == {(1,)}
    assert train.videos[0].labels(77).max() == 1  # grey-alpha at the source


@pytest.mark.shared
def test_the_real_folders_are_read(shared):
    (girls,) = FolderTree(shared / "data/davis2017_multi").videos
    assert (len(girls), girls.object_ids) == (80, (1, 2, 3, 4, 5, 6, 7))
    (caps,) = FolderTree(shared / "data/xmem2_examples").videos
    assert (len(caps), caps.annotated, caps.size) == (87, (0, 14, 33, 43, 66), (853, 480))
    assert caps.first_seen == {1: 0, 2: 33}
    assert len(ImageTree(shared / "data/static_images").images) == 30


def test_images_without_a_mask_may_be_left_out(static_root):
    (static_root / "masks/00001.png").unlink()
    assert [still.name for still in ImageTree(static_root, unmasked=True).images] == ["00000", "00002"]


def test_a_folder_may_lie_below_the_root(davis_root, tmp_path):
    assert len(FolderTree(tmp_path, folder="davis").videos) == 3
