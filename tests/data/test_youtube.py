import shutil
from pathlib import Path

import pytest

from memvos.data.full_video import FullVideo
from memvos.data.youtube import YouTubeTree
from memvos.errors import InputError


@pytest.fixture
def root(tiny_sets):
    return tiny_sets.make("youtube2019")[0].removeprefix("root=")


def test_a_video_has_its_categories_and_objects_that_enter_late(root):
    video = YouTubeTree(root, "valid", seen="train").videos[1]
    assert video.frame_names == ("00000", "00005", "00010", "00015", "00020", "00025")
    assert video.first_seen == {1: 0, 2: 2}
    assert video.categories == {1: "yak", 2: "hat"}


def test_videos_are_left_out_by_name(root):
    first, second = (video.name for video in YouTubeTree(root, "valid").videos)
    assert [video.name for video in YouTubeTree(root, "valid", without=[first, "elsewhere"]).videos] == [second]


def test_one_name_alone_is_a_list_of_one(root):
    assert [video.name for video in YouTubeTree(root, "train", videos="t1").videos] == ["t1"]
    assert [video.name for video in YouTubeTree(root, "train", without="t1").videos] == ["t0", "t2", "t3"]


def test_names_that_are_not_there_or_contradict_each_other_are_told(root):
    with pytest.raises(InputError, match=r"found no video 't9' in .*train/meta\.json; got t0, t1, t2, t3"):
        YouTubeTree(root, "train", videos=["t9"])
    with pytest.raises(InputError, match=r"video 't1' of .* is to be trained on and to be tested on"):
        YouTubeTree(root, "train", videos=["t0", "t1"], without=["t1"])


def test_a_part_of_a_split_is_not_counted_as_the_whole(root):
    official = {"videos": 4}
    assert YouTubeTree(root, "train", without=["v0"], official=official).official == official
    for part in ({"videos": ["t1", "t2"]}, {"without": ["t1"]}):
        assert YouTubeTree(root, "train", official=official, **part).official == {}


def test_sizes_vary_from_video_to_video(root):
    assert [video.size for video in YouTubeTree(root, "valid").videos] == [(64, 48), (48, 64)]


def test_all_frames_have_masks_on_every_fifth(root):
    tree = YouTubeTree(root, "valid", variant="all")
    assert [len(video) for video in tree.videos] == [30, 30]
    assert tree.videos[0].annotated == (0, 5, 10, 15, 20, 25)
    assert tree.frame_step == 1
    given = [frame.index for frame in FullVideo(tree.videos[1]) if frame.masks is not None]
    assert given == [0, 10]


def test_the_seen_categories_are_those_of_the_training_set(root):
    assert YouTubeTree(root, "valid", seen="train").seen == ("cat", "dog", "hat", "person")
    assert YouTubeTree(root, "valid", seen=["person"]).seen == ("person",)
    assert YouTubeTree(root, "valid").seen == ()
    assert YouTubeTree(root, "valid", meta=None, seen="train").seen == ()  # its own objects have no categories then


def test_what_comes_before_the_first_mask_is_left_out(root, tmp_path):
    masks = tmp_path / "sets/youtube2019/valid/Annotations/v0"
    (masks / "00000.png").unlink()
    video = YouTubeTree(root, "valid").videos[0]
    assert video.frame_names[0] == "00005"
    assert video.first_seen == {1: 0}


def test_masks_may_lie_apart(root, tmp_path):
    home = tmp_path / "sets/youtube2019"
    shutil.copytree(home / "valid/Annotations", home / "truth")
    for path in (home / "valid/Annotations").rglob("*.png"):
        if path.stem != "00000":
            path.unlink()
    assert [len(video.annotated) for video in YouTubeTree(root, "valid").videos] == [1, 1]
    assert [len(video.annotated) for video in YouTubeTree(root, "valid", masks="truth").videos] == [6, 6]


def test_lvos_has_another_name_and_form_of_meta_and_a_list_of_unseen_videos(tiny_sets):
    root = Path(tiny_sets.make("lvos_v2")[0].removeprefix("root="))
    settings = {"meta": "val_meta.json", "protocol": "davis"}
    tree = YouTubeTree(root, "val", **settings)
    assert (tree.protocol, tree.seen, tree.videos[0].categories) == ("davis", (), {})
    assert {video.name: sorted(tree.meta[video.name]) for video in tree.videos} == {"v0": [1], "v1": [1, 2]}
    (root / "unseen_videos.txt").write_text("v1")
    tree = YouTubeTree(root, "val", unseen="unseen_videos.txt", **settings)
    assert tree.seen == ("seen",)
    assert [video.categories for video in tree.videos] == [{1: "seen"}, {1: "unseen", 2: "unseen"}]
    (root / "unseen_videos.txt").write_text("v1 x9")
    with pytest.raises(InputError, match="names 'x9', no video of the split"):
        YouTubeTree(root, "val", unseen="unseen_videos.txt", **settings)
    with pytest.raises(InputError, match=r"found no .*none\.txt; expected the names of videos of unseen categories"):
        YouTubeTree(root, "val", unseen="none.txt", **settings)


def test_the_parts_of_a_training_set_share_no_video(tiny_sets):
    root = tiny_sets.make("youtube_held_out")[0].removeprefix("root=")
    settings = {"videos": 4, "unseen": 2}
    train, held_out = (YouTubeTree(root, part=part, hold_out=settings) for part in ("train", "held_out"))
    names = [{video.name for video in tree.videos} for tree in (train, held_out)]
    assert not names[0] & names[1]
    assert len(names[1]) == 4
    assert held_out.seen == train.seen
    (name, *_) = names[1]
    assert len(YouTubeTree(root, part="held_out", hold_out=settings, videos=[name]).videos) == 1
    with pytest.raises(InputError, match=f"found no video '{name}' in"):
        YouTubeTree(root, part="train", hold_out=settings, videos=[name])
    assert {kind for video in held_out.videos for kind in video.categories.values()} - set(held_out.seen)


def test_the_variant_changes_the_fingerprint(root):
    marks = {YouTubeTree(root, "valid", variant=variant).fingerprint() for variant in ("6fps", "all")}
    assert len(marks) == 2


def test_missing_parts_are_named(root, tmp_path):
    with pytest.raises(InputError, match=r"found no folder .*train_all_frames/JPEGImages or .*unpack the split there"):
        YouTubeTree(root, "train", variant="all")
    with pytest.raises(InputError, match=r"got variant='30fps', part=None; expected 6fps or all"):
        YouTubeTree(root, "train", variant="30fps")
    with pytest.raises(InputError, match=r"part= needs the categories of a meta\.json"):
        YouTubeTree(root, "train", meta=None, part="train")
    with pytest.raises(InputError, match=r"found no .*other\.json"):
        YouTubeTree(root, "train", meta="other.json")
    home = tmp_path / "sets/youtube2019/train"
    shutil.rmtree(home / "JPEGImages/t0")
    with pytest.raises(InputError, match=r"1 of 4 videos of .*meta\.json have no frames in .* \(first: 't0'\)"):
        YouTubeTree(root, "train")
    assert len(YouTubeTree(root, "train", videos=["t1"]).videos) == 1


@pytest.mark.parametrize("split", ["train", "valid"])  # the categories of the training set, and of the videos
def test_categories_are_part_of_the_fingerprint(root, split):
    before = YouTubeTree(root, "valid", seen="train").fingerprint()
    meta = Path(root, split, "meta.json")
    meta.write_text(meta.read_text().replace("person", "camel"))
    assert YouTubeTree(root, "valid", seen="train").fingerprint() != before
