import pytest

from memvos.whole_file import whole_file, write_text


def test_a_file_is_written_into_a_new_folder(tmp_path):
    with whole_file(tmp_path / "new" / "a.txt") as draft:
        draft.write_text("whole")
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_until_the_block_ends_the_older_file_is_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("older")
    with whole_file(path) as draft:
        draft.write_text("newer")
        assert path.read_text() == "older"
    assert path.read_text() == "newer"


def stopped_by(error, path):
    with whole_file(path) as draft:
        draft.write_text("ne")
        raise error


@pytest.mark.parametrize("stop", [OSError, KeyboardInterrupt])
def test_a_stop_leaves_the_older_file_and_nothing_else(tmp_path, stop):
    path = tmp_path / "a.txt"
    path.write_text("older")
    with pytest.raises(stop):
        stopped_by(stop, path)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_is_written_in_utf8_in_place_of_the_older_one(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "a longer text")
    write_text(path, "σ 0.8\n")
    assert path.read_bytes() == b"\xcf\x83 0.8\n"
    assert list(path.parent.iterdir()) == [path]
