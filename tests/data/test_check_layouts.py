"""Every fault that can be in a layout is seeded there, in every layout, and must be named."""

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from memvos.data import check
from memvos.errors import InputError
from memvos.paths import conf_dir

VIDEO_SETS = [
    "davis2016",
    "davis2017",
    "davis2017_testdev",
    "folder",
    "mose",
    "youtube2018",
    "youtube2019",
    "youtube_held_out",
    "lvos_v1",
]
VIDEO_SETS += ["lvos_v2", "long_videos", "bl30k"]
WITH_META = [name for name in VIDEO_SETS if name.startswith(("youtube", "lvos"))]
STILL_SETS = ["static", "coco", "images"]


PLACE = "/where/the/sets/are"


@cache
def composed(name, *overrides) -> str:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose(overrides=["+model=qdmn", f"+data={name}", *overrides])
    return json.dumps(OmegaConf.to_container(config, resolve=True)["data"])


def config(tiny_sets, name):
    """Composed once for all tests, as it takes longer than most of them."""
    place = str(tiny_sets.folder)
    overrides = [f"data.{override}".replace(place, PLACE) for override in tiny_sets.make(name)]
    return json.loads(composed(name, *overrides).replace(PLACE, place))


def made(node):
    """What a configuration names; its own error where it cannot be made."""
    try:
        return instantiate(node)
    except InstantiationException as fault:
        raise fault.__cause__ from None


@pytest.fixture
def open_set(tiny_sets):
    """Writes a tiny set; a function that opens its training tree (counts are not official: `complete` leaves them)."""

    def prepare(name, complete=True):
        data = config(tiny_sets, name)
        node = data["pretrain"]["trees"][-1]["tree"] if name in STILL_SETS else data["train"]
        if complete and "official" in node:
            node["official"] = None
        return lambda: made(node)

    return prepare


def masks_of(video) -> list[Path]:
    return [video.mask_paths[video.frame_names[t]] for t in video.annotated]


def save(path: Path, values: np.ndarray, mode: str = "L") -> None:
    image = Image.fromarray(values.astype(np.uint8))
    if mode == "P":
        image.putpalette([value for k in range(256) for value in (k, 255 - k, 40 * k % 256)])
    image.save(path)


def blurred(labels: np.ndarray) -> np.ndarray:
    ramp = np.tile(np.arange(labels.shape[1]) * 5 % 256, (labels.shape[0], 1))
    ramp[0, 0] = 255
    return ramp


def truncate(video):
    path = video.image_paths[1]
    path.write_bytes(path.read_bytes()[:-80])


def resize(video):
    path = masks_of(video)[-1]
    Image.open(path).resize((20, 20)).save(path)


def empty_video(video):
    for path in masks_of(video):
        path.unlink()


def empty_first(video):
    for path in masks_of(video) if video.late_objects else masks_of(video)[:1]:
        save(path, np.zeros(video.size))


def on_first(make):
    def seed(video):
        path = masks_of(video)[0]
        make(path, np.array(Image.open(path)))

    return seed


def copy_frame(video):
    shutil.copy(video.image_paths[0], video.image_paths[3])


def lose_frame(video):
    video.image_paths[1].unlink()
    for path in (video.mask_paths.get(video.frame_names[1]),):
        if path:
            path.unlink()


SEEDS = {
    "unreadable file": truncate,
    "sizes differ": resize,
    "no mask": empty_video,
    "no object": empty_first,
    "duplicated file": copy_frame,
    "missing frames": lose_frame,
    "no palette": on_first(lambda path, labels: save(path, np.stack([labels * 50] * 3, -1))),
    "smoothed mask": on_first(lambda path, labels: save(path, blurred(labels))),
    "255 beside ids": on_first(lambda path, labels: save(path, np.where(labels > 0, labels, 255))),
}
MORE_SEEDS = {
    "no palette": on_first(lambda path, labels: save(path, np.array([0, 38, 75])[labels.clip(0, 2)])),
    "smoothed mask": on_first(
        lambda path, labels: save(
            path, np.where(np.arange(labels.shape[1]) < 12, np.arange(labels.shape[1]), 0) + 0 * labels, "P"
        )
    ),
}


def named(tree) -> set[str]:
    return {fault.kind for fault in check(tree)}


@pytest.mark.parametrize("name", VIDEO_SETS)
def test_a_sound_set_of_this_layout_has_no_fault_but_its_count(open_set, name):
    kinds = named(open_set(name, complete=False)()) - {"duplicated file"}  # made-up videos of equal objects begin alike
    assert kinds == (set() if name in ("folder", "youtube_held_out") else {"count"})


@pytest.mark.parametrize("name", VIDEO_SETS)
def test_every_fault_of_a_video_is_named(open_set, tiny_sets, name):
    for kind, seed in [*SEEDS.items(), *MORE_SEEDS.items()]:
        shutil.rmtree(tiny_sets.folder, ignore_errors=True)
        opened = open_set(name)
        videos = opened().videos
        seed(videos[-1])
        others = {video.image_paths[0].parent for video in videos[:-1]}
        kinds = {f.kind for f in check(opened()) if not any(str(place) in f.example for place in others)}
        assert kind in kinds, f"{name}: {kind} was seeded, {kinds or 'nothing'} named"


@pytest.mark.parametrize("name", ["davis2016", "davis2017"])
def test_an_object_that_the_first_mask_lacks_is_named(open_set, name):
    opened = open_set(name)
    for path in masks_of(opened().videos[-1])[2:3]:
        save(path, np.full((48, 64), 9))
    # in the task of 2016 all objects are one: no id can be unknown there
    assert ("unknown object id" in named(opened())) == (name == "davis2017")


@pytest.mark.parametrize("name", [name for name in VIDEO_SETS if not name.startswith(("davis", "youtube", "lvos"))])
def test_a_first_mask_that_is_missing_is_named(open_set, name):
    opened = open_set(name)
    masks_of(opened().videos[0])[0].unlink()
    assert "no first mask" in named(opened())


@pytest.mark.parametrize("name", ["davis2016", "davis2017"])
def test_an_empty_and_a_missing_first_mask_are_named(open_set, name):
    opened = open_set(name)
    videos = opened().videos
    empty_first(videos[0])
    masks_of(videos[1])[0].unlink()
    assert {"no object", "no first mask"} <= named(opened())


@pytest.mark.parametrize("name", WITH_META)
def test_objects_that_meta_json_does_not_know_are_named(open_set, name):
    opened = open_set(name)
    path = masks_of(opened().videos[0])[0]
    labels = np.array(Image.open(path))
    save(path, np.where(labels == 1, 4, labels), "P")
    assert "ids differ from meta.json" in named(opened())


@pytest.mark.parametrize("name", WITH_META)
def test_an_object_that_comes_later_than_meta_json_says_is_named(open_set, name):
    opened = open_set(name)
    path = masks_of(opened().videos[0])[0]
    path.unlink()
    faults = {fault.kind: fault.example for fault in check(opened())}
    assert "is first masked in frame 00005, meta.json says 00000" in faults["ids differ from meta.json"]


@pytest.mark.parametrize("name", WITH_META)
def test_another_frame_rate_is_named(open_set, name):
    opened = open_set(name)
    video = opened().videos[0]
    for path in [*video.image_paths, *masks_of(video)]:
        path.rename(path.with_stem(f"{int(path.stem) // 5:05d}"))
    faults = {fault.kind: fault.example for fault in check(opened())}
    assert "has every single frame (00000, 00001, …), expected every 5th" in faults["frame-rate variant"]


def test_all_frames_that_are_not_all_are_named(tiny_sets):
    data = config(tiny_sets, "youtube2019")
    root = Path(data["root"])
    shutil.rmtree(root / "valid_all_frames")
    shutil.copytree(root / "valid/JPEGImages", root / "valid_all_frames/JPEGImages")
    assert "frame-rate variant" in named(instantiate(data["test"]))


@pytest.mark.parametrize("name", VIDEO_SETS)
def test_a_mask_without_a_frame_and_two_frames_of_one_name_are_faults_of_the_layout(open_set, name):
    opened = open_set(name)
    video = opened().videos[0]
    extra = shutil.copy(masks_of(video)[0], masks_of(video)[0].with_stem("99999"))
    with pytest.raises(InputError, match=r"1 masks in .* have no frame of the same name"):
        opened()
    extra.unlink()
    Image.open(video.image_paths[0]).save(video.image_paths[0].with_suffix(".png"))
    with pytest.raises(InputError, match=r"7 images in .* share 6 names|13 images in .* share 12 names"):
        opened()


@pytest.mark.parametrize("name", STILL_SETS)
def test_every_fault_of_a_static_set_is_named(open_set, name):
    opened = open_set(name)
    first, second, third = opened().images[:3]
    first.image_path.write_bytes(first.image_path.read_bytes()[:-80])
    Image.open(second.mask_path).resize((20, 20)).save(second.mask_path)
    save(third.mask_path, np.zeros((48, 64)))
    assert named(opened()) - {"count"} == {"unreadable file", "sizes differ", "no object"}
    shutil.copy(second.image_path, third.image_path)
    save(third.mask_path, np.stack([np.eye(48, 64)] * 3, -1))
    assert named(opened()) - {"count"} == {"unreadable file", "sizes differ", "no palette", "duplicated file"}
    second.mask_path.unlink()
    first.mask_path.unlink()
    third.mask_path.unlink()
    with pytest.raises(InputError, match="images without a mask"):
        opened()


def test_values_of_static_masks_are_looked_at_where_they_are_ids(open_set):
    opened = open_set("coco")
    for still, make in zip(opened().images, (blurred, lambda labels: np.where(labels > 0, labels, 255)), strict=False):
        save(still.mask_path, make(np.array(Image.open(still.mask_path))))
    assert named(opened()) == {"smoothed mask", "255 beside ids"}
    assert "count" in named(open_set("coco", complete=False)())
    assert "count" in named(open_set("static", complete=False)())


def test_meta_json_that_cannot_be_used_is_a_fault_of_the_layout(open_set, tiny_sets):
    opened = open_set("youtube2019")
    (tiny_sets.folder / "youtube2019/train/meta.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match="cannot be used"):
        opened()
