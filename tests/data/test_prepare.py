from functools import partial

import numpy as np
import pytest
from PIL import Image

from memvos.data import prepare
from memvos.data.static_sets import static_set
from memvos.data.youtube import YouTubeTree
from memvos.errors import InputError


@pytest.fixture
def root(tiny_sets, tmp_path):
    tiny_sets.make("youtube2019")
    return tmp_path / "sets/youtube2019"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_set_is_made_smaller(root, workers):
    jobs = prepare.resized_videos(root / "train", root / "train_24p", 24)
    assert prepare.run(jobs, workers) == 4 * 12 + 1
    before, after = (YouTubeTree(root, "train", folder=folder) for folder in ("train", "train_24p"))
    assert [video.size for video in after.videos] == [(32, 24), (24, 32)] * 2
    for old, new in zip(before.videos, after.videos, strict=True):
        assert old.object_ids == new.object_ids
        assert (old.labels(3)[::2, ::2].astype(bool) != new.labels(3).astype(bool)).mean() < 0.05
        assert abs(old.image(0).mean() - new.image(0).mean()) < 2


def test_what_is_there_is_not_made_again(root):
    jobs = prepare.resized_videos(root / "train", root / "small", 24)
    prepare.run(jobs)
    kept, lost = root / "small/JPEGImages/t0/00000.jpg", root / "small/JPEGImages/t0/00005.jpg"
    kept.write_text("kept")
    lost.unlink()
    assert prepare.run(jobs) == 1
    assert kept.read_text() == "kept"
    assert lost.is_file()


def test_an_interruption_leaves_no_half_files(root):
    broken = root / "train/JPEGImages/t1/00010.jpg"
    content = broken.read_bytes()
    broken.write_bytes(content[:300])
    jobs = prepare.resized_videos(root / "train", root / "small", 24)
    with pytest.raises(InputError, match=r"cannot make .*small/JPEGImages/t1/00010\.jpg"):
        prepare.run(jobs)
    assert not [path for path in (root / "small").rglob("*") if path.name.startswith(".")]
    broken.write_bytes(content)
    assert 0 < prepare.run(jobs) < len(jobs)
    assert len(list((root / "small").rglob("*.jpg"))) == 24


def test_a_png_that_is_broken_between_its_parts_is_named(tmp_path):
    source = tmp_path / "m.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)).save(source)
    content = source.read_bytes()
    second = content.rindex(b"IDAT")
    assert second > content.index(b"IDAT")
    source.write_bytes(content[:second] + b"\0" + content[second + 1 :])
    with pytest.raises(InputError, match=r"cannot make .*small/m\.png \(broken PNG file"):
        prepare.run([(partial(prepare.shrink_mask, source, 24), tmp_path / "small/m.png")])


def test_linked_folders_of_videos_are_made_smaller_too(root, tmp_path):
    (root / "train/JPEGImages/t1").rename(tmp_path / "elsewhere")
    (root / "train/JPEGImages/t1").symlink_to(tmp_path / "elsewhere")
    prepare.run(prepare.resized_videos(root / "train", root / "small", 24))
    assert len(list((root / "small/JPEGImages/t1").iterdir())) == 6


def test_smaller_pictures_are_copied_as_they_are(root):
    prepare.run(prepare.resized_videos(root / "train", root / "same", 480))
    path = "JPEGImages/t0/00000.jpg"
    assert (root / "same" / path).read_bytes() == (root / "train" / path).read_bytes()


def test_the_small_version_of_a_static_set_is_found_first(tiny_sets, tmp_path):
    tiny_sets.stills(tmp_path / "BIG/val", tmp_path / "BIG/val", ("_im", "_gt"))
    prepare.run(prepare.small_set(tmp_path / "BIG", tmp_path / "BIG_small", ("_im", "_gt"), 24))
    tree = static_set(tmp_path, "BIG")
    assert [image.image().shape for image in tree.images] == [(24, 32, 3)] * 3
    assert "BIG_small" in str(tree.images[0].image_path)
    assert set(np.unique(tree.images[0].labels())) == {0, 1}


def test_sources_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match=r"found no folder .*JPEGImages; expected the published frames"):
        prepare.resized_videos(tmp_path, tmp_path / "small")
    with pytest.raises(InputError, match=r"found no pair \*_im\.jpg and \*_gt\.png below"):
        prepare.small_set(tmp_path, tmp_path / "small", ("_im", "_gt"), 24)
