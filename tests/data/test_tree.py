import hashlib
import shutil
from pathlib import Path

import numpy as np

from memvos.data.sequences import StaticImage, Video
from memvos.data.still_video import StillVideo
from memvos.data.tree import JoinedTree, Tree
from memvos.data.trees import DavisTree, ImageTree, image_trees


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


def test_a_tree_is_empty_and_scored_as_davis_unless_told_otherwise():
    tree = Tree("none", "somewhere")
    assert (tree.videos, tree.images, tree.files(), tree.stills(), tree.sequences()) == ([], [], [], [], [])
    assert (tree.root, tree.official, tree.protocol, tree.seen) == (Path("somewhere"), {}, "davis", ())
    assert (dict(tree.meta), tree.frame_step, tuple(tree.without_frames)) == ({}, None, ())
    assert (tuple(tree.without_image), tuple(tree.doubles)) == ((), ())


def test_a_tree_says_what_it_holds():
    video = Video("v", [Path("0.jpg")], {})
    tree = Tree("t", Path("/"), [video], official={"videos": 2}, protocol="youtube", seen=["dog"])
    assert repr(tree) == "Tree('t', videos=1, images=0)"
    assert (tree.official, tree.protocol, tree.seen) == ({"videos": 2}, "youtube", ("dog",))


def test_files_are_the_images_and_masks_of_videos_and_then_of_static_images():
    video = Video("v", [Path("0.jpg"), Path("1.jpg")], {"1": Path("1.png")})
    tree = Tree("t", Path("/"), [video], [StaticImage("s", Path("s.jpg"), Path("s.png"))])
    assert [path.name for path in tree.files()] == ["0.jpg", "1.jpg", "1.png", "s.jpg", "s.png"]


def test_a_fingerprint_is_of_the_settings_and_of_every_name_and_size(tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v/0.jpg").write_bytes(b"12345")
    tree = Tree("t", tmp_path, [Video("v", [tmp_path / "v/0.jpg", tmp_path / "v/1.jpg"], {})], settings="plain")
    listed = b"plain" + b"v/0.jpg\x005\n" + b"v/1.jpg\x00-1\n"  # 5 bytes; the second file is not there
    assert tree.fingerprint() == hashlib.sha256(listed).hexdigest()[:16]


def test_files_outside_of_the_root_count_with_their_whole_name(tmp_path):
    (tmp_path / "data").mkdir()
    image, mask = tmp_path / "data/0.jpg", tmp_path / "labels/0.png"
    image.write_bytes(b"12345")
    tree = Tree("t", tmp_path / "data", [Video("v", [image], {"0": mask})], settings="plain")
    listed = f"plain0.jpg\x005\n{mask.as_posix()}\x00-1\n"
    assert tree.fingerprint() == hashlib.sha256(listed.encode()).hexdigest()[:16]


def test_static_images_are_evaluated_as_short_videos_where_there_are_no_videos(static_root, davis_root):
    sequences = ImageTree(static_root).sequences()
    assert [type(video) for video in sequences] == [StillVideo] * 3
    assert [video.name for video in sequences] == ["00000", "00001", "00002"]
    davis = DavisTree(davis_root, "train")
    assert davis.sequences() is davis.videos
    both = JoinedTree("both", [davis, ImageTree(static_root)])
    assert both.sequences() == davis.videos


def test_a_tree_has_first_masks_only_where_all_its_videos_do(davis_root):
    only = []
    for name in ("bird", "cars"):
        for path in sorted((davis_root / "Annotations/480p" / name).iterdir())[1:]:
            path.unlink()
        only.append(DavisTree(davis_root, "train").first_masks_only())
    assert only == [False, True]  # of the first alone, then of both


def test_a_joined_tree_may_join_trees_of_different_roots():
    one, other = (
        Tree("t", Path(root), [Video(root, [Path(root) / "0.jpg"], {})]) for root in ("/nowhere/a", "/nowhere/b")
    )
    joined = JoinedTree("both", [one, other])
    assert [video.name for video in joined.videos] == ["/nowhere/a", "/nowhere/b"]
    text = f"{one.fingerprint()} {other.fingerprint()}"
    assert joined.fingerprint() == hashlib.sha256(text.encode()).hexdigest()[:16]
