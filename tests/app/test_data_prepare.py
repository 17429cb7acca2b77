"""`memvos data prepare` and `fetch` on tiny sets."""

import zipfile

import pytest

from memvos.app.data_prepare import kept_as
from memvos.data.downloads import DOWNLOADS


def test_a_set_is_prepared_and_taken_up(memvos, home, tiny_sets):
    youtube = tiny_sets.make("youtube2019")[0]
    command = ("data", "prepare", "youtube2019", youtube, "short_side=24", "workers=1")
    assert "train_24p: 49 files, 49 of them made now" in memvos(*command)[1]
    assert "train_24p: 49 files, 0 of them made now" in memvos(*command)[1]
    code, _, error = memvos("data", "prepare", "mose", "root=.")
    assert code == 2
    assert "there is nothing to prepare of mose; expected one of bl30k, coco, static" in error


def test_a_number_of_workers_is_a_number(memvos, tiny_sets):
    code, _, error = memvos("data", "prepare", "youtube2019", tiny_sets.make("youtube2019")[0], "workers=all")
    assert code == 2
    assert "expected workers=N with N of at least 1, got workers=all" in error


def test_small_pictures_of_another_size_and_a_size_of_masks_are_told(memvos, tiny_sets):
    command = ("data", "prepare", "static", tiny_sets.make("static")[0], "workers=1")
    assert "BIG_small: 6 files, 6 of them made now" in memvos(*command, "short_side=24")[1]
    assert "BIG_small: 6 files, 0 of them made now" in memvos(*command, "short_side=24")[1]
    code, _, error = memvos(*command, "short_side=12")
    assert (code, "jpg is 32×24 pixels, expected 16×12 with short_side=12; give the short_side= that" in error) == (
        2,
        True,
    )
    code, _, error = memvos("data", "prepare", "coco", tiny_sets.make("coco")[0], "short_side=24")
    assert (code, "coco has masks made, in the size of its pictures; expected no short_side=" in error) == (2, True)


def test_an_archive_is_fetched_by_its_address(memvos, home):
    with zipfile.ZipFile(home / "set.zip", "w") as archive:
        archive.writestr("DAVIS/a.txt", "a")
    command = ("data", "fetch", f"file://{home / 'set.zip'}", f"root={home / 'data'}")
    code, output, _ = memvos(*command)
    assert code == 0
    assert "set.zip: 1 files written" in output
    assert (home / "data/DAVIS/a.txt").read_text() == "a"
    assert "was fetched and unpacked before" in memvos(*command)[1]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mose", "mose cannot be fetched: its terms ask for a form or a login. Those that can: davis2016, davis2017,"),
        ("davis17", "davis17 cannot be fetched: there is no data set of this name. Those that can: davis2016, davis20"),
        (
            "https://[bad/x.zip",
            "https://[bad/x.zip is no address (Invalid IPv6 URL); expected e.g. https://host/file.zip",
        ),
        (
            "http://127.0.0.1:port/x.zip",
            "cannot download http://127.0.0.1:port/x.zip (nonnumeric port: 'port'); check the",
        ),
    ],
)
def test_what_cannot_be_fetched_is_told(memvos, home, name, told):
    code, _, error = memvos("data", "fetch", name, f"root={home / 'data'}")
    assert (code, told in error) == (2, True), error


def test_archives_of_one_name_are_told_apart_by_their_addresses(memvos, home):
    for folder in ("a", "b"):
        (home / folder).mkdir()
        with zipfile.ZipFile(home / folder / "set.zip", "w") as archive:
            archive.writestr(f"{folder}.txt", folder)
    for folder, written in (("a", True), ("b", True), ("a", False)):
        address = f"file://{home / folder / 'set.zip'}"
        code, output, _ = memvos("data", "fetch", address, f"root={home / 'data'}", "keep=true")
        assert (code, "1 files written" in output) == (0, written), output
        assert (home / f"data/{folder}.txt").read_text() == folder
    kept = list((home / "data/downloads").rglob("set.zip"))
    assert sorted(path.read_bytes() for path in kept) == [(home / f / "set.zip").read_bytes() for f in "ab"]


def test_the_archives_of_a_set_are_kept_by_their_names():
    assert [kept_as(url) for url in DOWNLOADS["ecssd"].urls] == ["images.zip", "ground_truth_mask.zip"]
    assert kept_as("https://host/images.zip") == "2d08259e/images.zip"


def test_what_is_neither_kept_nor_not_is_told_before_anything_is_fetched(memvos, home):
    code, _, error = memvos("data", "fetch", f"file://{home / 'set.zip'}", f"root={home / 'data'}", "keep=1")
    assert (code, "expected keep=true or keep=false, got '1'" in error) == (2, True), error
    assert not (home / "data").exists()
