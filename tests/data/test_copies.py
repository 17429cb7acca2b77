from pathlib import Path

import pytest

from memvos.data import copies
from memvos.data.sequences import StaticImage, Video
from memvos.data.tree import Tree


@pytest.fixture
def paths(tmp_path):
    """A function that writes files of the contents given by name; returns their paths."""

    def write(**contents: bytes) -> list[Path]:
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        return [tmp_path / name for name in contents]

    return write


def of_videos(*frames: list[Path]) -> Tree:
    return Tree("t", "/", [Video(f"v{number}", paths, {}) for number, paths in enumerate(frames)])


def named(tree: Tree) -> list[tuple[str, str]]:
    return [(copy.name, original.name) for copy, original in copies.find(tree)]


def test_a_frame_that_a_video_shows_again_is_a_copy_of_the_first_of_its_kind(paths):
    assert named(of_videos(paths(a=b"one", b=b"two", c=b"one", d=b"one"))) == [("c", "a"), ("d", "a")]


def test_files_of_equal_size_or_of_an_equal_beginning_are_no_copies(paths):
    assert named(of_videos(paths(a=b"one", b=b"two", c=b"one and more"))) == []


def test_a_video_that_begins_as_another_is_a_copy_of_it_and_later_frames_may_be_equal(paths):
    assert named(of_videos(paths(a=b"one", b=b"two"), paths(c=b"one", d=b"three"))) == [("c", "a")]
    assert named(of_videos(paths(a=b"one", b=b"two"), paths(c=b"three", d=b"two"))) == []


def test_static_images_are_compared_with_each_other_but_not_with_frames(paths):
    a, b, c = paths(a=b"one", b=b"two", c=b"two")
    stills = [StaticImage(path.name, path, path) for path in (b, c)]
    assert named(Tree("t", "/", images=stills)) == [("c", "b")]
    assert named(Tree("t", "/", [Video("v", [a, b], {})], [StaticImage("c", c, c)])) == []


def test_an_image_that_is_used_twice_is_no_copy_of_itself(paths):
    (a,) = paths(a=b"one")
    assert named(of_videos([a, a], [a])) == []
    assert named(Tree("t", "/", images=[StaticImage(name, a, a) for name in "xy"])) == []


def test_a_file_that_is_not_there_is_left_to_others(paths, tmp_path):
    assert named(of_videos([tmp_path / "nothing", *paths(a=b"one", b=b"one")])) == [("b", "a")]


def test_files_of_a_size_of_their_own_are_not_read(paths, monkeypatch):
    read, original = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or original(path))
    assert named(of_videos(paths(a=b"one", b=b"longer", c=b"two"))) == []
    assert read == ["a", "c"]
