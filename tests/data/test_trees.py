import shutil

import numpy as np
import pytest
from PIL import Image

from memvos.data.trees import DavisTree, FolderTree, ImageTree, JoinedTree, image_trees
from memvos.errors import InputError


def test_a_davis_tree_has_the_videos_of_its_split(davis_root):
    tree = DavisTree(davis_root, "train")
    assert [video.name for video in tree.videos] == ["bird", "cars"]
    assert [len(video) for video in tree.videos] == [6, 6]
    assert [video.object_ids for video in tree.videos] == [(1,), (1, 2)]
    assert tree.name == "davis/train"


def test_a_davis_video_gives_images_and_labels(davis_root):
    video = DavisTree(davis_root, "val").videos[0]
    assert video.frame_names == ("00000", "00001", "00002", "00003", "00004", "00005")
    assert video.size == (48, 64)
    assert video.image(2).shape == (48, 64, 3)
    assert video.image(2).dtype == np.uint8
    assert np.unique(video.labels(2)).tolist() == [0, 1, 2]
    assert (video.labels(2) == 1).sum() == 100
    assert video.labels(2)[8, 8] == 1  # object 1 starts at 4 + 2·2 pixels from the left


def test_the_2016_task_makes_all_objects_one(davis_root):
    shutil.copytree(davis_root / "ImageSets/2017", davis_root / "ImageSets/2016")
    assert DavisTree(davis_root, "val", year=2016).videos[0].object_ids == (1,)
    assert DavisTree(davis_root, "val", year=2017).videos[0].object_ids == (1, 2)
    assert DavisTree(davis_root, "val").videos[0].object_ids == (1, 2)  # the newest list
    assert DavisTree(davis_root, "val", year=2017, merge_objects=True).videos[0].object_ids == (1,)


def test_the_resolution_is_the_largest_that_has_every_video(davis_root):
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(davis_root / kind / "480p", davis_root / kind / "240p")
    assert "480p" in str(DavisTree(davis_root, "val").videos[0].image_paths[0])
    shutil.rmtree(davis_root / "JPEGImages/480p/dog")
    assert "240p" in str(DavisTree(davis_root, "val").videos[0].image_paths[0])
    assert "480p" in str(DavisTree(davis_root, "train").videos[0].image_paths[0])


def test_a_subset_is_a_slice_of_the_list(davis_root):
    assert [video.name for video in DavisTree(davis_root, "train", subset="-1:").videos] == ["cars"]
    assert [video.name for video in DavisTree(davis_root, "train", subset=":-1").videos] == ["bird"]
    with pytest.raises(InputError, match=r"got subset='all'; expected a slice like '-4:'"):
        DavisTree(davis_root, "train", subset="all")


def test_attributes_are_kept_by_name(davis_root):
    tree = DavisTree(davis_root, "train", attributes={"cars": ["occlusion"]})
    assert [video.attributes for video in tree.videos] == [(), ("occlusion",)]


def test_no_root_and_a_missing_root_are_named(tmp_path):
    with pytest.raises(InputError, match=r"got no data root; .*set data\.root=PATH \(or DAVIS_ROOT\)$"):
        DavisTree(None, "train")
    with pytest.raises(InputError, match=r"got no data root; .*set data\.root=PATH$"):
        ImageTree(None)
    with pytest.raises(InputError, match=r"is not a folder; .*set data\.coco_root=PATH$"):
        ImageTree(tmp_path / "nowhere", option="data.coco_root=PATH")
    with pytest.raises(InputError, match=r"data root .*/nowhere is not a folder; .*set data\.root=PATH"):
        DavisTree(tmp_path / "nowhere", "train")


def test_a_missing_split_names_those_that_exist(davis_root):
    with pytest.raises(InputError, match=r"no ImageSets/<year>/test\.txt; got ImageSets/2017/train\.txt, .*val\.txt"):
        DavisTree(davis_root, "test")
    with pytest.raises(InputError, match=r"no ImageSets/2016/val\.txt"):
        DavisTree(davis_root, "val", year=2016)


def test_an_empty_split_and_an_empty_subset_are_refused(davis_root):
    with pytest.raises(InputError, match=r"train\.txt is empty in its part '5:' \(it lists 2 videos\)"):
        DavisTree(davis_root, "train", subset="5:")
    (davis_root / "ImageSets/2017/train.txt").write_text("\n")
    with pytest.raises(InputError, match=r"train\.txt is empty .*expected one video name a line"):
        DavisTree(davis_root, "train")


def test_a_video_listed_twice_is_refused(davis_root):
    (davis_root / "ImageSets/2017/train.txt").write_text("bird\nbird\n")
    with pytest.raises(InputError, match=r"lists 'bird' more than once"):
        DavisTree(davis_root, "train")


def test_videos_without_frames_are_counted(davis_root):
    shutil.rmtree(davis_root / "JPEGImages/480p/cars")
    with pytest.raises(InputError, match=r"1 of 2 videos of .*train\.txt have no frames in .*480p \(first: 'cars'\)"):
        DavisTree(davis_root, "train")


def test_a_tree_without_resolution_folders_is_refused(davis_root):
    shutil.rmtree(davis_root / "JPEGImages")
    with pytest.raises(InputError, match=r"found no folder .*JPEGImages/<resolution>"):
        DavisTree(davis_root, "train")


def test_a_mask_without_a_frame_is_refused(davis_root):
    (davis_root / "JPEGImages/480p/dog/00005.jpg").unlink()
    with pytest.raises(InputError, match=r"1 masks in .*dog have no frame of the same name .*\(first: 00005\.png\)"):
        DavisTree(davis_root, "val")


def test_two_images_of_one_frame_are_refused(davis_root):
    Image.new("RGB", (64, 48)).save(davis_root / "JPEGImages/480p/dog/00005.png")
    with pytest.raises(InputError, match=r"7 images in .*dog share 6 names; .*remove the copies"):
        DavisTree(davis_root, "val")


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


def test_the_fingerprint_follows_files_split_and_reading(davis_root):
    first = DavisTree(davis_root, "train").fingerprint()
    assert first == DavisTree(davis_root, "train").fingerprint()
    assert len({first, DavisTree(davis_root, "val").fingerprint()}) == 2
    assert first != DavisTree(davis_root, "train", merge_objects=True).fingerprint()
    with (davis_root / "JPEGImages/480p/bird/00003.jpg").open("ab") as file:
        file.write(b"\0")
    assert first != DavisTree(davis_root, "train").fingerprint()


def test_the_fingerprint_does_not_depend_on_where_the_data_lie(davis_root, tmp_path):
    moved = tmp_path / "elsewhere" / "davis"
    shutil.copytree(davis_root, moved)
    assert DavisTree(moved, "train").fingerprint() == DavisTree(davis_root, "train").fingerprint()


@pytest.mark.parametrize(
    ("images", "masks", "name"),
    [
        ("JPEGImages/walk", "Annotations/walk", "walk"),
        ("JPEGImages/480p/walk", "Annotations/480p/walk", "walk"),
        ("walk/JPEGImages", "walk/Annotations", "walk"),
        ("JPEGImages", "Annotations", "mine"),
    ],
)
def test_a_folder_is_found_in_each_layout(tmp_path, write_video, images, masks, name):
    root = tmp_path / "mine"
    write_video(root / images, root / masks, annotated=(0, 3))
    (video,) = FolderTree(root).videos
    assert video.name == name
    assert video.annotated == (0, 3)
    assert video.labels(1) is None
    assert video.labels(3).max() == 1


def test_objects_of_a_folder_may_enter_late(tmp_path, write_video):
    write_video(tmp_path / "JPEGImages/a", tmp_path / "Annotations/a", objects=1, annotated=(0,))
    write_video(tmp_path / "more", tmp_path / "Annotations/a", objects=2, annotated=(4,))
    shutil.rmtree(tmp_path / "more")
    (video,) = FolderTree(tmp_path).videos
    assert video.object_ids == (1, 2)
    assert video.first_seen == {1: 0, 2: 4}


def test_named_videos_of_a_folder_are_kept_in_the_order_given(davis_root):
    assert [video.name for video in FolderTree(davis_root, videos=["dog", "bird"]).videos] == ["dog", "bird"]
    with pytest.raises(InputError, match=r"found no video 'cat' below .*; got bird, cars, dog"):
        FolderTree(davis_root, videos=["cat"])


def test_a_folders_test_videos_are_not_trained_on(davis_root):
    assert [video.name for video in FolderTree(davis_root, without=["dog", "elsewhere"]).videos] == ["bird", "cars"]
    assert [video.name for video in FolderTree(davis_root, videos="dog").videos] == ["dog"]
    with pytest.raises(InputError, match=r"video 'dog' of .* is to be trained on and to be tested on"):
        FolderTree(davis_root, videos=["dog", "bird"], without=["dog"])
    with pytest.raises(InputError, match=r"no video of .* is left to train on \(3 there"):
        FolderTree(davis_root, without=["bird", "cars", "dog"])


def test_the_published_davis_2016_lists_images_below_a_folder_of_its_own(davis_root, tmp_path):
    shutil.rmtree(davis_root / "ImageSets/2017")
    for resolution in ("1080p", "480p"):
        lists = davis_root / "ImageSets" / resolution
        lists.mkdir()
        lines = (
            f"/JPEGImages/{resolution}/{name}/{time:05d}.jpg /Annotations/{resolution}/{name}/{time:05d}.png \n"
            for name in ("dog", "cars")
            for time in range(6)
        )
        (lists / "val.txt").write_text("".join(lines))
    (tmp_path / "download").mkdir()
    davis_root.rename(tmp_path / "download" / "DAVIS")
    tree = DavisTree(tmp_path / "download", "val", year=2016)
    assert [(video.name, video.object_ids) for video in tree.videos] == [("dog", (1,)), ("cars", (1,))]
    assert len(tree.videos[0].image_paths) == 6


def test_a_folder_without_videos_says_what_it_expects(tmp_path):
    with pytest.raises(InputError, match=r"found no video below .*; expected JPEGImages/<video>/\*\.jpg"):
        FolderTree(tmp_path)


def test_a_video_found_at_two_resolutions_is_refused(davis_root):
    shutil.copytree(davis_root / "JPEGImages/480p", davis_root / "JPEGImages/240p")
    with pytest.raises(InputError, match=r"found video 'bird' twice.*images=JPEGImages/480p masks=Annotations/480p"):
        FolderTree(davis_root)
    assert len(FolderTree(davis_root, images="JPEGImages/480p", masks="Annotations/480p").videos) == 3


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


def test_the_annotated_frames_of_a_video_are_stills(davis_root):
    stills = DavisTree(davis_root, "train").stills()
    assert len(stills) == 12
    assert stills[7].name == "cars/00001"
    assert np.unique(stills[7].labels()).tolist() == [0, 1, 2]


def test_trees_are_joined_and_no_tree_is_an_empty_one(davis_root, static_root):
    joined = JoinedTree("all", [DavisTree(davis_root, "train"), ImageTree(static_root)])
    assert (len(joined.videos), len(joined.images), len(joined.stills())) == (2, 3, 15)
    assert joined.fingerprint() != JoinedTree("all", [DavisTree(davis_root, "train")]).fingerprint()
    assert image_trees([]).stills() == []
    assert len(image_trees(str(static_root)).images) == 3
    assert len(image_trees([static_root, static_root]).images) == 6


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
