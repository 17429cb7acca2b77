"""How data sets lie on disk, seen through the trees that read them and function by function."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from memvos.data import layouts
from memvos.data.files import MaskFormat
from memvos.data.trees import DavisTree, FolderTree, ImageTree
from memvos.errors import InputError


@pytest.fixture
def fill(tmp_path):
    """A function that makes empty files below the test's folder, and empty folders of names that end in a slash."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.touch()
        return tmp_path

    return make


def test_no_root_and_a_missing_root_are_named(tmp_path):
    with pytest.raises(InputError, match=r"got no data root; .*set data\.root=PATH \(or DAVIS_ROOT\)$"):
        DavisTree(None, "train")
    with pytest.raises(InputError, match=r"got no data root; .*set data\.root=PATH$"):
        ImageTree(None)
    with pytest.raises(InputError, match=r"is not a folder; .*set data\.coco_root=PATH$"):
        ImageTree(tmp_path / "nowhere", option="data.coco_root=PATH")
    with pytest.raises(InputError, match=r"data root .*/nowhere is not a folder; .*set data\.root=PATH"):
        DavisTree(tmp_path / "nowhere", "train")


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


def test_a_missing_split_names_those_that_exist(davis_root):
    with pytest.raises(InputError, match=r"no ImageSets/<year>/test\.txt; got ImageSets/2017/train\.txt, .*val\.txt"):
        DavisTree(davis_root, "test")
    with pytest.raises(InputError, match=r"no ImageSets/2016/val\.txt"):
        DavisTree(davis_root, "val", year=2016)


def test_the_2016_task_makes_all_objects_one(davis_root):
    shutil.copytree(davis_root / "ImageSets/2017", davis_root / "ImageSets/2016")
    assert DavisTree(davis_root, "val", year=2016).videos[0].object_ids == (1,)
    assert DavisTree(davis_root, "val", year=2017).videos[0].object_ids == (1, 2)
    assert DavisTree(davis_root, "val").videos[0].object_ids == (1, 2)  # the newest list
    assert DavisTree(davis_root, "val", year=2017, merge_objects=True).videos[0].object_ids == (1,)


def test_a_subset_is_a_slice_of_the_list(davis_root):
    assert [video.name for video in DavisTree(davis_root, "train", subset="-1:").videos] == ["cars"]
    assert [video.name for video in DavisTree(davis_root, "train", subset=":-1").videos] == ["bird"]
    with pytest.raises(InputError, match=r"got subset='all'; expected a slice like '-4:'"):
        DavisTree(davis_root, "train", subset="all")


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


def test_the_resolution_is_the_largest_that_has_every_video(davis_root):
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(davis_root / kind / "480p", davis_root / kind / "240p")
    assert "480p" in str(DavisTree(davis_root, "val").videos[0].image_paths[0])
    shutil.rmtree(davis_root / "JPEGImages/480p/dog")
    assert "240p" in str(DavisTree(davis_root, "val").videos[0].image_paths[0])
    assert "480p" in str(DavisTree(davis_root, "train").videos[0].image_paths[0])


def test_a_tree_without_resolution_folders_is_refused(davis_root):
    shutil.rmtree(davis_root / "JPEGImages")
    with pytest.raises(InputError, match=r"found no folder .*JPEGImages/<resolution>"):
        DavisTree(davis_root, "train")


def test_videos_without_frames_are_counted(davis_root):
    shutil.rmtree(davis_root / "JPEGImages/480p/cars")
    with pytest.raises(InputError, match=r"1 of 2 videos of .*train\.txt have no frames in .*480p \(first: 'cars'\)"):
        DavisTree(davis_root, "train")


def test_a_mask_without_a_frame_is_refused(davis_root):
    (davis_root / "JPEGImages/480p/dog/00005.jpg").unlink()
    with pytest.raises(InputError, match=r"1 masks in .*dog have no frame of the same name .*\(first: 00005\.png\)"):
        DavisTree(davis_root, "val")


def test_two_images_of_one_frame_are_refused(davis_root):
    Image.new("RGB", (64, 48)).save(davis_root / "JPEGImages/480p/dog/00005.png")
    with pytest.raises(InputError, match=r"7 images in .*dog share 6 names; .*remove the copies"):
        DavisTree(davis_root, "val")


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


def test_a_video_found_at_two_resolutions_is_refused(davis_root):
    shutil.copytree(davis_root / "JPEGImages/480p", davis_root / "JPEGImages/240p")
    with pytest.raises(InputError, match=r"found video 'bird' twice.*images=JPEGImages/480p masks=Annotations/480p"):
        FolderTree(davis_root)
    assert len(FolderTree(davis_root, images="JPEGImages/480p", masks="Annotations/480p").videos) == 3


def test_a_root_is_absolute_and_may_begin_with_the_home_folder(fill, monkeypatch):
    home = fill("davis/")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    assert layouts.existing_root("~/davis") == layouts.existing_root("davis") == home / "davis"


@pytest.mark.parametrize("root", [None, ""])
def test_no_root_is_told_from_data_of_another_layout(root):
    with pytest.raises(layouts.NoRoot, match=r"got no data root; expected the folder of the data set; set root=X$"):
        layouts.davis_root(root, "root=X")


def test_the_davis_folder_of_an_archive_is_entered_where_it_alone_has_the_lists(fill):
    root = fill("one/DAVIS/ImageSets/", "both/ImageSets/", "both/DAVIS/ImageSets/", "none/DAVIS/")
    found = {name: layouts.davis_root(root / name) for name in ("one", "both", "none")}
    assert found == {"one": root / "one/DAVIS", "both": root / "both", "none": root / "none"}


def test_a_split_is_looked_for_in_the_newest_year_that_has_it(fill):
    root = fill("ImageSets/2016/train.txt", "ImageSets/2016/val.txt", "ImageSets/2017/train.txt")
    assert layouts.split_file(root, "train", None) == root / "ImageSets/2017/train.txt"
    assert layouts.split_file(root, "train", 2016) == root / "ImageSets/2016/train.txt"
    assert layouts.split_file(root, "val", None) == root / "ImageSets/2016/val.txt"


def test_a_folder_beside_the_years_is_no_year(fill):
    root = fill("ImageSets/2017/train.txt", "ImageSets/2017-backup/train.txt")
    assert layouts.split_file(root, "train", None) == root / "ImageSets/2017/train.txt"


def test_the_own_lists_of_davis_2016_count_where_no_year_has_the_split(fill):
    root = fill("ImageSets/480p/val.txt", "ImageSets/2017/train.txt")
    assert layouts.split_file(root, "val", None) == root / "ImageSets/480p/val.txt"
    with pytest.raises(InputError, match=r"no ImageSets/2017/val\.txt; got ImageSets/2017/train\.txt; choose one"):
        layouts.split_file(root, "val", 2017)


def test_a_root_without_any_list_is_told_so(tmp_path):
    with pytest.raises(InputError, match=r"no ImageSets/<year>/val\.txt; got no list at all; .*use data=folder"):
        layouts.split_file(tmp_path, "val", None)


@pytest.mark.parametrize(("folder", "merged"), [("2016", True), ("480p", True), ("1080p", True), ("2017", False)])
def test_lists_of_2016_and_those_by_resolution_are_of_the_task_of_one_object(folder, merged):
    assert layouts.is_of_2016(Path("ImageSets") / folder / "val.txt") is merged


def test_a_split_lists_one_name_a_line_or_a_line_of_paths_for_each_image(tmp_path):
    (tmp_path / "names.txt").write_text("bird\n\n  cars \n")
    (tmp_path / "paths.txt").write_text(
        "/JPEGImages/480p/cars/00000.jpg /Annotations/480p/cars/00000.png\n"
        "/JPEGImages/480p/cars/00001.jpg /Annotations/480p/cars/00001.png\n"
        "/JPEGImages/480p/bird/00000.jpg /Annotations/480p/bird/00000.png\n"
    )
    assert layouts.split_names(tmp_path / "names.txt", None) == ["bird", "cars"]
    assert layouts.split_names(tmp_path / "paths.txt", None) == ["cars", "bird"]


def test_a_list_may_start_with_a_byte_order_mark_and_is_in_utf_8(tmp_path):
    path = tmp_path / "train.txt"
    path.write_bytes("\ufeffbird\r\nmöwe\r\n".encode())
    assert layouts.split_names(path, None) == ["bird", "möwe"]
    path.write_bytes("möwe\n".encode("latin-1"))
    with pytest.raises(InputError, match=rf"{path} cannot be read .*; expected a list in UTF-8"):
        layouts.split_names(path, None)


@pytest.mark.parametrize(
    ("subset", "names"), [(":2", ["a", "b"]), ("1:", ["b", "c"]), ("-2:-1", ["b"]), (" : ", ["a", "b", "c"])]
)
def test_a_part_of_a_split_is_a_slice_of_its_list(tmp_path, subset, names):
    (tmp_path / "train.txt").write_text("a\nb\nc\n")
    assert layouts.split_names(tmp_path / "train.txt", subset) == names


@pytest.mark.parametrize("subset", [4, "4", "::2", "a:b"])
def test_a_number_or_a_step_is_no_slice_of_a_split(tmp_path, subset):
    (tmp_path / "train.txt").write_text("a\nb\nc\n")
    with pytest.raises(InputError, match=rf"got subset='{subset}'; expected a slice like '-4:' or ':20'"):
        layouts.split_names(tmp_path / "train.txt", subset)


def test_of_the_published_resolutions_that_of_the_scores_is_taken(fill):
    root = fill("JPEGImages/1080p/a/", "JPEGImages/480p/a/", "JPEGImages/240p/a/")
    assert layouts.resolution_with_all(root, ["a"]) == "480p"
    root = fill("JPEGImages/1080p/b/")
    assert layouts.resolution_with_all(root, ["a", "b"]) == "1080p"  # 480p lacks b


def test_the_resolution_that_lacks_fewest_videos_is_taken_and_then_the_one_of_most_rows(fill):
    root = fill("JPEGImages/240p/a/", "JPEGImages/240p/b/", "JPEGImages/480p/a/", "JPEGImages/Full-Resolution/a/")
    assert layouts.resolution_with_all(root, ["a", "b"]) == "240p"  # 480p lacks b
    assert layouts.resolution_with_all(root, ["a"]) == "480p"  # all have a; a name that is no number counts as 0 rows
    assert layouts.resolution_with_all(root, ["c", "a"]) == "480p"  # each lacks one


def test_a_resolution_folder_is_a_folder(fill):
    with pytest.raises(InputError, match=r"found no folder .*JPEGImages/<resolution>; expected e\.g\. .*correct data"):
        layouts.resolution_with_all(fill("JPEGImages/00000.jpg"), ["a"])


def test_videos_whose_folders_hold_no_frames_are_counted(fill):
    root = fill("480p/a/00000.jpg", "480p/b/notes.txt")
    layouts.all_present(root / "480p", ["a"], Path("train.txt"))
    with pytest.raises(InputError, match=r"2 of 3 videos of train\.txt have no frames in .*480p \(first: 'b'\)"):
        layouts.all_present(root / "480p", ["a", "b", "c"], Path("train.txt"))


def test_a_video_is_put_together_from_two_folders_in_natural_order(fill):
    root = fill("f/10.jpg", "f/9.jpg", "f/.hidden.jpg", "f/notes.txt", "m/10.png", "m/9.txt")
    reading = MaskFormat(merge=True)
    video = layouts.folder_video("v", root / "f", root / "m", reading, ["occlusion"], late_objects=True)
    assert (video.name, video.frame_names, video.attributes) == ("v", ("9", "10"), ("occlusion",))
    assert video.mask_paths == {"10": root / "m/10.png"}  # a mask is a PNG
    assert (video.mask_format, video.late_objects) == (reading, True)


def test_a_video_may_have_no_folder_of_masks(fill):
    video = layouts.folder_video("v", fill("f/0.jpg") / "f", Path("nowhere"), MaskFormat())
    assert (video.annotated, video.late_objects, video.attributes) == ((), False, ())


def test_a_mask_that_is_no_png_is_refused_where_its_frame_has_no_other(fill):
    root = fill("f/0.jpg", "f/1.jpg", "m/0.png", "m/0.jpg", "m/Thumbs.db", "m/._1.jpg", "m/other.jpg")
    assert [*layouts.folder_video("v", root / "f", root / "m", MaskFormat()).mask_paths] == ["0"]
    fill("m/1.tif")
    with pytest.raises(InputError, match=r"mask .*m/1\.tif is no PNG \(1 of 2 frames have such a mask\); expected"):
        layouts.folder_video("v", root / "f", root / "m", MaskFormat())


def test_frames_are_no_masks_where_both_are_looked_for_in_one_folder(fill):
    root = fill("f/0.jpg", "f/1.jpg")
    assert layouts.folder_video("v", root / "f", root / "f", MaskFormat()).mask_paths == {}


def test_a_frame_of_a_format_that_is_not_read_is_refused(fill):
    root = fill("f/0.jpg", "f/0.tif", "f/notes.txt", "f/.1.heic")  # a copy, and no frames
    assert len(layouts.folder_video("v", root / "f", root / "m", MaskFormat())) == 1
    fill("f/1.TIF", "f/2.heic")
    told = r"f/1\.TIF is of a format that is not read \(2 of them beside 1 frames\); expected files ending in \.jpg, "
    with pytest.raises(InputError, match=told):
        layouts.folder_video("v", root / "f", root / "m", MaskFormat())


def test_videos_are_found_in_every_layout_at_once(fill):
    root = fill("J/0.jpg", "J/b10/0.jpg", "J/b9/0.jpg", "J/480p/c/0.jpg", "J/empty/", "d/J/0.jpg")
    assert list(layouts.video_folders(root, "J", "A")) == [
        (root.name, (root / "J", root / "A")),
        ("c", (root / "J/480p/c", root / "A/480p/c")),
        ("b9", (root / "J/b9", root / "A/b9")),
        ("b10", (root / "J/b10", root / "A/b10")),
        ("d", (root / "d/J", root / "d/A")),
    ]


def test_videos_may_lie_beside_the_folder_of_masks(fill):
    root = fill("a/0.jpg", "480p/b/0.jpg", "A/a/0.png", "A/480p/b/0.png")
    assert list(layouts.video_folders(root, ".", "A")) == [
        ("b", (root / "480p/b", root / "A/480p/b")),
        ("a", (root / "a", root / "A/a")),
    ]


def test_folders_without_frames_are_empty_ones_and_those_that_only_masks_have(fill):
    root = fill("J/a/0.jpg", "J/b/", "J/480p/c/0.jpg", "J/480p/d/", "A/a/0.png", "A/e/0.png", "A/f/", "J/g/0.tif")
    expected = {root / "J" / name for name in ("b", "480p/d", "e", "g")}
    assert set(layouts.folders_without_frames(root, "J", "A")) == expected


def test_files_are_known_by_their_place_without_suffix_and_ending(fill):
    root = fill("cup/1_im.jpg", "cup/1_gt.png", "cup/2_im.JPG", "3_im.jpg", "4.jpg", "a.b_im.jpg")
    found = layouts.by_stem(root, (".jpg",), "_im")
    names = {"cup/1": "cup/1_im.jpg", "cup/2": "cup/2_im.JPG", "3": "3_im.jpg", "a.b": "a.b_im.jpg"}
    assert found == {stem: root / name for stem, name in names.items()}
    assert set(layouts.by_stem(root / "cup", (".jpg", ".png"), "")) == {"1_im", "1_gt", "2_im"}


def test_of_files_that_share_a_stem_all_are_known_or_the_last(fill):
    root = fill("a/1.jpg", "a/1.png", "2.png")
    assert layouts.all_by_stem(root, (".jpg", ".png"), "") == {
        "2": [root / "2.png"],
        "a/1": [root / "a/1.jpg", root / "a/1.png"],
    }
    assert layouts.by_stem(root, (".jpg", ".png"), "")["a/1"] == root / "a/1.png"


def test_hidden_folders_are_no_videos_and_no_resolutions(fill):
    root = fill("JPEGImages/a/0.jpg", "JPEGImages/.ipynb_checkpoints/0.jpg", "JPEGImages/a/@eaDir/0.jpg")
    assert [name for name, _ in layouts.video_folders(root, "JPEGImages", "Annotations")] == ["a"]
    fill(".Trash/JPEGImages/0.jpg")
    assert [name for name, _ in layouts.video_folders(root, "JPEGImages", "Annotations")] == ["a"]
    assert layouts.resolution_with_all(root, ["0"]) == "a"


def test_names_of_videos_are_kept_or_left_out_in_lists_or_alone():
    place, found = Path("here"), ["a", "b", "c"]
    assert layouts.choose(place, found, None, None) == (found, True)
    assert layouts.choose(place, found, None, ["d"]) == (found, True)  # nothing is left out
    assert layouts.choose(place, found, None, "b") == (["a", "c"], False)
    assert layouts.choose(place, found, ["c", "a"], []) == (["c", "a"], False)
    assert layouts.choose(place, found, "b", None) == (["b"], False)
    assert layouts.choose(place, [], None, ["a"]) == ([], True)


@pytest.mark.parametrize(
    ("videos", "without"), [([1], None), (None, [1]), (1, None), (None, 0), (["1", 2], None), (None, [True])]
)
def test_a_name_of_a_video_is_text(videos, without):
    told = r"got \S+ as the name of a video in here; expected text; quote it, as in 'test_videos=\[\"00001\"\]'"
    with pytest.raises(InputError, match=told):
        layouts.choose(Path("here"), ["0", "1", "2"], videos, without)
    assert layouts.choose(Path("here"), ["0", "1", "2"], ["1"], "2") == (["1"], False)


def test_names_of_videos_that_contradict_each_other_are_told():
    place, found = Path("here"), ["a", "b"]
    with pytest.raises(InputError, match="found no video 'ab' in here; got a, b; correct the names of its videos"):
        layouts.choose(place, found, "ab", None)
    with pytest.raises(InputError, match="video 'a' of here is to be trained on and to be tested on"):
        layouts.choose(place, found, ["a", "b"], ["a"])
    with pytest.raises(InputError, match=r"no video of here is left to train on \(2 there, all of them test videos\)"):
        layouts.choose(place, found, None, ["b", "a"])


def test_images_and_folders_are_listed_in_natural_order_and_a_missing_folder_is_an_empty_one(fill):
    root = fill("10.jpg", "9.png", "8.jpeg", "7.txt", "v10/", "v9/", ".ipynb_checkpoints/", "@eaDir/")
    assert [path.name for path in layouts.list_images(root)] == ["8.jpeg", "9.png", "10.jpg"]
    assert [path.name for path in layouts.subfolders(root)] == ["v9", "v10"]
    assert layouts.list_images(root / "nowhere") == layouts.subfolders(root / "nowhere") == []
    assert layouts.subfolders(root / "7.txt") == []
