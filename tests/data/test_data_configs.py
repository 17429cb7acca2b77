import pickle
import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from memvos.paths import conf_dir


def data_config(*overrides, search=None):
    more = [f"hydra.searchpath=[file://{search}]"] if search else []
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose(overrides=[*more, *overrides], return_hydra_config=False)
    return OmegaConf.to_container(config, resolve=True)["data"]


@pytest.mark.parametrize("name", ["davis2017", "folder"])
def test_a_data_set_of_a_configuration_gives_clips_and_videos(davis_root, name):
    data = data_config(f"+data={name}", f"data.root={davis_root}", "data.size=32")
    datamodule = instantiate(data["main"], batch_size=2, num_workers=0)
    assert next(iter(datamodule.train_dataloader())).frames.shape == (2, 3, 3, 32, 32)
    assert datamodule.val_videos
    assert "dog" in [video.name for video in instantiate(data["test"]).videos]
    assert data["name"] == name


def test_davis_2016_takes_its_root_from_the_environment(davis_root, monkeypatch):
    (davis_root / "ImageSets/2017").rename(davis_root / "ImageSets/2016")
    monkeypatch.setenv("DAVIS_ROOT", str(davis_root))
    data = data_config("+data=davis2016", "data.train_subset=':-1'")
    assert [video.name for video in instantiate(data["train"]).videos] == ["bird"]
    assert instantiate(data["test"]).videos[0].object_ids == (1,)


@pytest.mark.parametrize("name", ["davis2016", "folder"])
def test_the_embedded_clips_of_a_pretraining_follow_the_keys_of_the_data(name):
    keys = ["+data.difficulty=hard", "+data.clips={train: 7}", "+data.frames=5", "+data.frame_size=[64,80]"]
    trees = [entry["tree"] for entry in data_config(f"+data={name}", "data.root=x", *keys)["pretrain"]["trees"]]
    clips = next(tree for tree in trees if tree["_target_"].endswith("SyntheticTree"))
    assert [clips[key] for key in ("difficulty", "clips", "frames", "size")] == ["hard", 7, 5, [64, 80]]


def test_four_lines_make_a_data_set_of_ones_own(davis_root, tmp_path):
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/mine.yaml").write_text(
        f"defaults: [folder, _self_]\nname: mine\nroot: {davis_root}\ntest_videos: [dog]\n"
    )
    data = data_config("+data=mine", search=tmp_path / "conf")
    assert data["name"] == "mine"
    assert [video.name for video in instantiate(data["test"]).videos] == ["dog"]
    assert [video.name for video in instantiate(data["train"]).videos] == ["bird", "cars"]  # not what it is tested on


def test_the_folders_of_ones_own_data_may_have_other_names(davis_root):
    for old, new in {"JPEGImages": "frames", "Annotations": "labels"}.items():
        (davis_root / old).rename(davis_root / new)
    with pytest.raises(InstantiationException, match="name the folders with images= and masks="):
        instantiate(data_config("+data=folder", f"data.root={davis_root}")["test"])
    names = ["data.images=frames/480p", "data.masks=labels/480p"]
    data = data_config("+data=folder", f"data.root={davis_root}", *names)
    assert [len(instantiate(data[split]).videos) for split in ("train", "val", "test")] == [3, 3, 3]
    assert instantiate(data["test"]).videos[0].annotated == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("name", ["youtube2018", "youtube2019", "youtube_held_out", "lvos_v1", "lvos_v2"])
def test_data_sets_of_another_layout_name_no_folder_of_frames(name):
    data = data_config(f"+data={name}", "data.root=x")
    assert not {"images", "masks"} & data.keys()
    assert not any("images" in data[split] for split in ("train", "val", "test"))


def test_a_data_set_can_be_sent_to_loading_processes(davis_root):
    data = data_config("+data=davis2017", f"data.root={davis_root}", "data.size=32")
    dataset = instantiate(data["main"], batch_size=2).dataset
    copy = pickle.loads(pickle.dumps(dataset))
    assert (copy[3, 0.5].frames == dataset[3, 0.5].frames).all()


SETS = sorted(path.stem for path in (conf_dir() / "data").glob("*.yaml") if path.stem != "synthetic")


@pytest.mark.parametrize("name", SETS)
def test_the_layout_of_every_data_set_gives_clips_and_videos(tiny_sets, name, monkeypatch, tmp_path):
    monkeypatch.setenv("MEMVOS_CACHE", str(tmp_path / "cache"))
    small = ["size=32", "num_workers=0"]
    if name in ("static", "coco"):
        small += ["clips={train: 2, val: 1, test: 1}", "frames=3", "frame_size=[48,48]"]
    overrides = [f"data.{override}" for override in (*tiny_sets.make(name), *small)]
    data = data_config("+model=qdmn", f"+data={name}", *overrides)
    stages = [key for key in ("pretrain", "bl30k", "main") if key in data]
    if "static_root" in data and not name.endswith("paper"):
        stages.remove("pretrain")  # renders the embedded benchmark: tests/data/test_synthetic.py
    for stage in stages:
        datamodule = instantiate(data[stage], batch_size=2)
        assert next(iter(datamodule.train_dataloader())).frames.shape == (2, 3, 3, 32, 32)
        assert datamodule.fingerprint()
    for split in ("val", "test"):
        videos = instantiate(data[split]).sequences()
        assert videos
        assert all(video.object_ids for video in videos)


def test_the_published_shares_and_curricula(tiny_sets):
    data = data_config("+data=paper", *(f"data.{override}" for override in tiny_sets.make("paper")))
    sources = instantiate(data["main"], batch_size=1).sources
    assert [source.repeat for source in sources] == [5, 1]
    assert [source.max_skip.at(0.65) for source in sources] == [10, 5]
    assert [source.max_skip.at(0.5) for source in sources] == [10, 5]
    assert [source.repeat for source in instantiate(data["pretrain"], batch_size=1).sources] == [1, 1, 1, 1, 5, 5]
    assert len(instantiate(data["main"], batch_size=1).dataset) == 5 * 5 + 4
    bl30k = data_config("+data=bl30k", *(f"data.{override}" for override in tiny_sets.make("bl30k")))
    assert bl30k["bl30k"]["transforms"][0]["scale"] == [0.25, 1.0]
    assert bl30k["bl30k"]["max_skip"] == "bl30k"


@pytest.mark.parametrize(
    ("name", "part", "option"),
    [
        ("paper", "pretrain", "data.static_root=PATH (or STATIC_ROOT)"),
        ("paper", "youtube", "data.youtube_root=PATH (or YOUTUBE_VOS_ROOT)"),
        ("dmn_aoa_paper", "pretrain", "data.coco_root=PATH (or COCO_ROOT)"),
        ("static", "pretrain", "data.root=PATH (or STATIC_ROOT)"),
        ("coco", "pretrain", "data.root=PATH (or COCO_ROOT)"),
        ("bl30k", "bl30k", "data.root=PATH (or BL30K_ROOT)"),
        ("bl30k", "test", "data.root=PATH (or BL30K_ROOT)"),
        ("davis2016", "train", "data.root=PATH (or DAVIS_ROOT)"),
        ("davis2017_testdev", "test", "data.root=PATH (or DAVIS_ROOT)"),
        ("youtube2018", "val", "data.root=PATH (or YOUTUBE_VOS_ROOT)"),
        ("lvos_v2", "train", "data.root=PATH (or LVOS_ROOT)"),
        ("lvos_v2", "test", "data.root=PATH (or LVOS_ROOT)"),
        ("mose", "train", "data.root=PATH (or MOSE_ROOT)"),
        ("long_videos", "test", "data.root=PATH (or LONG_VIDEOS_ROOT)"),
        ("folder", "train", "data.root=PATH"),
        ("images", "train", "data.root=PATH"),
    ],
)
def test_a_root_that_is_not_given_is_asked_for_by_its_own_key_and_variable(name, part, option, monkeypatch):
    for variable in ("STATIC", "YOUTUBE_VOS", "COCO", "BL30K", "DAVIS", "LVOS", "MOSE", "LONG_VIDEOS"):
        monkeypatch.delenv(f"{variable}_ROOT", raising=False)
    config = data_config(f"+data={name}")[part]
    arguments = {"batch_size": 2} if config["_target_"].endswith("DataModule") else {}
    with pytest.raises(InstantiationException, match=re.escape(f"set {option}')")):
        instantiate(config, **arguments)
