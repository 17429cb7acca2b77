from pathlib import PurePosixPath
from urllib.parse import urlparse

import pytest

from memvos.data.downloads import DOWNLOADS, Download
from memvos.data.static_sets import SETS
from memvos.paths import conf_dir


def archives(download: Download) -> list[str]:
    return [PurePosixPath(urlparse(url).path).name for url in download.urls]


@pytest.mark.parametrize("name", DOWNLOADS)
def test_every_address_is_of_an_archive_with_a_name_of_its_own(name):
    assert all(urlparse(url).scheme in ("http", "https") and urlparse(url).netloc for url in DOWNLOADS[name].urls)
    assert all(archive.endswith(".zip") for archive in archives(DOWNLOADS[name]))
    assert len(set(archives(DOWNLOADS[name]))) == len(DOWNLOADS[name].urls) > 0


@pytest.mark.parametrize("name", DOWNLOADS)
def test_terms_are_told_and_every_archive_has_its_folder_below_the_root_or_none_has(name):
    download = DOWNLOADS[name]
    assert download.terms
    assert len(download.below) in (0, len(download.urls))
    assert not any(PurePosixPath(folder).is_absolute() or ".." in folder for folder in download.below)


def test_archives_of_all_sets_can_be_kept_in_one_folder():
    names = [archive for download in DOWNLOADS.values() for archive in archives(download)]
    assert len(set(names)) == len(names)


def test_every_set_is_read_by_a_configuration_or_as_a_static_set():
    known = {path.stem for path in (conf_dir() / "data").glob("*.yaml")}
    assert {name for name in DOWNLOADS if name not in known} == {"duts", "ecssd"}


def test_static_sets_are_unpacked_to_where_they_are_looked_for():
    duts, ecssd = ([PurePosixPath(archive).stem for archive in archives(DOWNLOADS[name])] for name in ("duts", "ecssd"))
    assert set(duts) <= set(SETS)  # the archives hold folders of these names
    assert DOWNLOADS["duts"].below == ()
    assert set(DOWNLOADS["ecssd"].below) <= set(SETS["ECSSD"].folders)
    assert tuple(ecssd) in SETS["ECSSD"].pairs
