"""What decides a rendered split, and what it is called."""

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from memvos.data.synthetic_clip import VERSION
from memvos.data.synthetic_recipe import Recipe
from memvos.data.synthetic_textures import Backdrop, PhotoBackdrop
from memvos.errors import InputError

PLAIN = {"difficulty": "normal", "split": "train", "clips": 20, "frames": 8, "size": (48, 64)}


@pytest.fixture
def photos(tmp_path):
    """A folder of seven photographs, 0 to 6, and a file that is none."""
    for index in range(7):
        Image.new("RGB", (60 + index, 60)).save(tmp_path / f"{index}.png")
    (tmp_path / "notes.txt").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"difficulty": "mild"}, "expected one of easy, normal, hard"),
        ({"split": "dev"}, "expected one of train, val, test"),
        ({"clips": 0}, "got clips=0.*expected at least 1 clip"),
        ({"frames": 1}, "got .*frames=1.*2 frames"),
        ({"seed": -1}, "got .*seed=-1.*a seed of 0 or more"),
        ({"size": (32, 64)}, r"got size \(H, W\) = \(32, 64\); expected sides of at least 48 pixels"),
        ({"size": (48, 200)}, "the longer at most 3 times the shorter"),
        ({"backgrounds": Path("/nowhere")}, "got 0 images in backgrounds=/nowhere; expected a folder of at least 5"),
    ],
)
def test_a_setting_out_of_range_is_told(change, message):
    with pytest.raises(InputError, match=message):
        Recipe(**{**PLAIN, **change})


def test_other_photographs_are_another_benchmark(photos):
    recipe = Recipe(**PLAIN, backgrounds=photos)
    before = recipe.name, recipe.fingerprint()
    (photos / "6.png").write_bytes(b"another size")
    assert recipe.name != before[0]
    assert recipe.fingerprint() != before[1]


def test_a_recipe_has_a_name_that_tells_all_but_the_photographs(photos):
    assert Recipe(**PLAIN).name == f"v{VERSION}-normal-train-20x8-48x64-seed0"
    assert Recipe(**PLAIN, seed=7).name == f"v{VERSION}-normal-train-20x8-48x64-seed7"
    listed = "0.png\0{}\n1.png\0{}\n2.png\0{}\n5.png\0{}\n6.png\0{}"  # those of train: all but every fourth and fifth
    listed = listed.format(*((photos / f"{index}.png").stat().st_size for index in (0, 1, 2, 5, 6)))
    mark = hashlib.sha256(listed.encode()).hexdigest()[:8]
    assert Recipe(**PLAIN, backgrounds=photos).name == f"v{VERSION}-normal-train-20x8-48x64-seed0-photos{mark}"


def test_clips_are_named_by_number():
    assert Recipe(**PLAIN).clip_name(7) == "normal_train_0007"


def test_the_smallest_and_the_longest_clips_are_taken():
    assert Recipe("easy", "val", 1, 2, (48, 48)).frames == 2
    assert Recipe("easy", "val", 1, 2, (48, 144)).size == (48, 144)
    with pytest.raises(InputError, match=r"\(48, 145\); expected sides of at least 48 pixels"):
        Recipe("easy", "val", 1, 2, (48, 145))


@pytest.mark.parametrize(("split", "numbers"), [("train", "01256"), ("val", "3"), ("test", "4")])
def test_every_split_has_photographs_of_its_own(photos, split, numbers):
    recipe = Recipe(**{**PLAIN, "split": split}, backgrounds=photos)
    assert [path.stem for path in recipe.photos()] == list(numbers)
    backdrop = recipe.backdrop()
    assert isinstance(backdrop, PhotoBackdrop)
    assert backdrop.files == recipe.photos()


def test_without_photographs_backgrounds_are_rendered():
    assert Recipe(**PLAIN).photos() == []
    assert isinstance(Recipe(**PLAIN).backdrop(), Backdrop)


def test_four_photographs_are_too_few(photos):
    for index in (4, 5, 6):
        (photos / f"{index}.png").unlink()
    with pytest.raises(InputError, match=r"got 4 images in backgrounds=.* at least 5 photographs"):
        Recipe(**PLAIN, backgrounds=photos)


def test_an_identity_holds_version_and_settings_and_no_path(photos):
    identity = Recipe(**PLAIN).identity()
    plain = {**PLAIN, "size": [48, 64], "seed": 0, "version": VERSION, "backgrounds": None, "photos": None}
    assert identity == plain
    own = Recipe(**PLAIN, backgrounds=photos).identity()
    assert {**own, "photos": None} == plain
    assert len(own["photos"]) == 64


def test_a_fingerprint_is_that_of_the_identity_whatever_the_order_of_its_keys():
    recipe = Recipe(**PLAIN)
    text = json.dumps(dict(sorted(recipe.identity().items())))
    assert recipe.fingerprint() == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_every_setting_counts_for_name_and_fingerprint():
    changes = (
        {},
        {"difficulty": "hard"},
        {"split": "val"},
        {"clips": 21},
        {"frames": 9},
        {"size": (64, 48)},
        {"seed": 1},
    )
    recipes = [Recipe(**{**PLAIN, **change}) for change in changes]
    assert len({recipe.fingerprint() for recipe in recipes}) == len({recipe.name for recipe in recipes}) == len(changes)


def test_photographs_of_another_split_do_not_count(photos):
    before = {split: Recipe(**{**PLAIN, "split": split}, backgrounds=photos) for split in ("train", "val", "test")}
    marks = {split: recipe.fingerprint() for split, recipe in before.items()}
    (photos / "3.png").write_bytes(b"another size")
    assert [split for split, recipe in before.items() if recipe.fingerprint() != marks[split]] == ["val"]


def test_the_place_of_the_photographs_does_not_count(photos):
    here = Recipe(**PLAIN, backgrounds=photos)
    there = Recipe(**PLAIN, backgrounds=Path(photos, "..", photos.name))
    assert (here.name, here.fingerprint()) == (there.name, there.fingerprint())
