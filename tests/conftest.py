"""Fixtures used by more than one package's tests."""

import importlib.util
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image

from memvos.decode import propagate

torch.set_num_threads(1)
# A shell starts what runs in the background with SIGINT ignored; the tests of Ctrl-C need it as in the foreground.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first: one that came last would run alone, with nothing left for the other workers."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Random weights are of the test, not of the tests that this worker happened to run before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded outputs and real clips beside the checkout; the test is skipped where it is absent."""
    folder = Path(os.environ.get("MEMVOS_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("no folder of recorded outputs beside the checkout")
    return folder


@pytest.fixture(scope="session")
def regenerate(shared: Path) -> Callable[[str], dict[str, torch.Tensor]]:
    """A function that makes the weights of a recorded network, in the layout of its released checkpoint."""
    folder = shared / "parity"
    spec = importlib.util.spec_from_file_location("keyed_weights", folder / "keyed_weights.py")
    keyed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(keyed)

    def make(network: str) -> dict[str, torch.Tensor]:
        shapes = json.loads((folder / network / "shapes.json").read_text())
        state = keyed.keyed_state_dict(shapes, np.load(folder / network / "small_tensors.npz"))
        for name, (total, size) in json.loads((folder / network / "sums.json").read_text()).items():
            assert state[name].double().sum().item() == pytest.approx(total, abs=1e-9 * size), name
        return state

    return make


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is turned into float32 on its way through network and stepper is turned into float64.

    A recorded top-k read, or a sum of gradients that cancel, is then compared with numbers that no processor's rounding
    disturbs. Networks and inputs have to be given in float64.
    """

    def doubled(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        return lambda *arguments: function(*arguments).double()

    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    monkeypatch.setattr(propagate, "choose_precision", lambda *_: torch.float64)
    for name in ("normalise", "to_tensor"):
        monkeypatch.setattr(propagate, name, doubled(getattr(propagate, name)))


def draw_labels(t: int, size: tuple[int, int], objects: int) -> np.ndarray:
    """Label map (H, W) of a made-up frame t: 10×10 squares, 20 pixels from each other, 2 further right per t."""
    labels = np.zeros(size, np.uint8)
    for k in range(objects):
        left = 4 + 20 * k + 2 * t
        labels[8 + 6 * k : 18 + 6 * k, left : left + 10] = k + 1
    return labels


def write_mask(path: Path, labels: np.ndarray, mode: str = "P") -> None:
    """Write a label map as a PNG of mode P (ids), or L or LA (0 and 255)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "P":
        image = Image.fromarray(labels, mode="P")
        image.putpalette([value for k in range(256) for value in (k, 255 - k, 40 * k % 256)])
    else:
        image = Image.fromarray(np.where(labels > 0, 255, 0).astype(np.uint8)).convert(mode)
    image.save(path)


@pytest.fixture(scope="session")
def write_video() -> Callable[..., None]:
    """A function that writes made-up frames (JPEG; reddish objects on blue, see `draw_labels`) and their masks."""

    def write(
        images: Path, masks: Path, frames: int = 6, size=(48, 64), objects: int = 1, annotated=None, mode: str = "P"
    ) -> None:
        images.mkdir(parents=True, exist_ok=True)
        for t in range(frames):
            labels = draw_labels(t, size, objects)
            picture = np.full((*size, 3), (40, 90, 200), np.uint8)
            for k in range(1, objects + 1):
                picture[labels == k] = (130 + 40 * k, 20, 20)
            Image.fromarray(picture).save(images / f"{t:05d}.jpg", quality=95, subsampling=0)
            if annotated is None or t in annotated:
                write_mask(masks / f"{t:05d}.png", labels, mode)

    return write


@pytest.fixture
def davis_root(tmp_path: Path, write_video: Callable[..., None]) -> Path:
    """A DAVIS 2017 tree of made-up videos, 6 frames of 64×48: train is bird (1 object), cars (2); val is dog (2)."""
    root = tmp_path / "davis"
    for name, objects in {"bird": 1, "cars": 2, "dog": 2}.items():
        write_video(root / "JPEGImages/480p" / name, root / "Annotations/480p" / name, objects=objects)
    lists = root / "ImageSets/2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("bird\ncars\n")
    (lists / "val.txt").write_text("dog\n")
    return root


@pytest.fixture
def static_root(tmp_path: Path, write_video: Callable[..., None]) -> Path:
    """Three made-up static images of 64×48 with two objects each, in images/ and masks/."""
    root = tmp_path / "static"
    write_video(root / "images", root / "masks", frames=3, objects=2)
    return root


class TinySets:
    """Tiny made-up trees in the layouts of the published data sets, one folder each; `make(name)` for a data config."""

    def __init__(self, folder: Path, write_video: Callable[..., None]) -> None:
        self.folder, self.write = folder, write_video

    def make(self, name: str) -> list[str]:
        """Write what conf/data/<name>.yaml reads; its overrides (`root=…` first)."""
        root = self.folder / name
        return [f"root={root}", *(getattr(self, f"_{name}")(root) or [])]

    def _videos(self, root: Path, names: dict[str, int], **settings) -> None:
        for name, objects in names.items():
            self.write(root / "JPEGImages" / name, root / "Annotations" / name, objects=objects, **settings)

    def _davis2016(self, root: Path, year: int = 2016, val: str = "val", annotated=None) -> None:
        for split, names in {"train": {"a": 1, "b": 2, "c": 1, "d": 1, "e": 1}, val: {"f": 2}}.items():
            for video, objects in names.items():
                homes = (root / kind / "480p" / video for kind in ("JPEGImages", "Annotations"))
                self.write(*homes, objects=objects, annotated=annotated if split == val else None)
            path = root / f"ImageSets/{year}/{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{video}\n" for video in names))

    def _davis2017(self, root: Path) -> None:
        self._davis2016(root, 2017)

    def _davis2017_testdev(self, root: Path) -> None:
        self._davis2016(root, 2017, "test-dev", annotated=(0,))

    def _folder(self, root: Path) -> None:
        self._videos(root, {"a": 1, "b": 2})

    _bl30k = _folder

    def _long_videos(self, root: Path) -> None:
        self._videos(root, {"blueboy": 1, "rat": 1}, frames=12, annotated=(0, 5, 10))

    def _mose(self, root: Path) -> None:
        self._videos(root / "train", {"0a": 2, "0b": 1})
        self._videos(root / "valid", {"1a": 2}, annotated=(0,))

    def youtube(self, folder: Path, videos: dict[str, str], step: int = 5, frames: int = 6, all_frames=None) -> None:
        """A split: every video has object 1 from the start and object 2 from the third mask on; categories by video."""
        meta = {}
        for number, (name, category) in enumerate(videos.items()):
            size = (48, 64) if number % 2 else (64, 48)  # sizes vary, portrait too
            images, masks = folder / "JPEGImages" / name, folder / "Annotations" / name
            self.write(images, masks, frames=frames, size=size, objects=2 if size[1] == 64 else 1)
            for home in (images, masks):
                for path in sorted(home.iterdir(), reverse=True):
                    path.rename(path.with_stem(f"{step * int(path.stem):05d}"))
            names = sorted(path.stem for path in masks.iterdir())
            objects = {"1": {"category": category, "frames": names}}
            if size[1] == 64:
                objects["2"] = {"category": "hat", "frames": names[2:]}
                for early in names[:2]:
                    labels = np.array(Image.open(masks / f"{early}.png"))
                    write_mask(masks / f"{early}.png", np.where(labels == 1, labels, 0).astype(np.uint8))
            meta[name] = {"objects": objects}
            if all_frames is not None:
                self.write(all_frames / "JPEGImages" / name, folder / "unused", frames=step * frames, size=size)
                shutil.rmtree(folder / "unused")
        (folder / "meta.json").write_text(json.dumps({"videos": meta}))

    def _youtube2019(self, root: Path) -> None:
        self.youtube(root / "train", {"t0": "person", "t1": "person", "t2": "dog", "t3": "cat"})
        self.youtube(root / "valid", {"v0": "person", "v1": "yak"}, all_frames=root / "valid_all_frames")

    _youtube2018 = _youtube2019

    def _youtube_held_out(self, root: Path) -> list[str]:
        self.youtube(root / "train", {f"t{k}": "abcdefgh"[k // 2] for k in range(12)})
        return ["held_out={videos: 4, unseen: 2, seed: 0}"]

    def _lvos_v1(self, root: Path) -> None:
        for split, names in {"train": {"t0": "dog"}, "val": {"v0": "dog", "v1": "yak"}}.items():
            self.youtube(root / split, names)
            meta = json.loads((root / split / "meta.json").read_text())
            for video in meta["videos"].values():
                for entry in video["objects"].values():
                    del entry["category"]
                    names = entry.pop("frames")
                    entry["frame_range"] = {"start": names[0], "end": names[-1], "frame_nums": len(names)}
            (root / split / "meta.json").unlink()
            (root / split / f"{split}_meta.json").write_text(json.dumps(meta))

    _lvos_v2 = _lvos_v1

    def stills(self, images: Path, masks: Path, endings=("", ""), mode: str = "L") -> None:
        """Three images and their masks, JPEG and PNG."""
        self.write(images, self.folder / "masks", frames=3, mode=mode)
        masks.mkdir(parents=True, exist_ok=True)
        for path in sorted(images.glob("0*.jpg")):
            path.rename(path.with_stem(f"{images.name}_{path.stem}{endings[0]}"))
        for path in sorted((self.folder / "masks").iterdir()):
            path.rename(masks / f"{images.name}_{path.stem}{endings[1]}.png")

    def _static(self, root: Path) -> None:
        self.stills(root / "fss/abacus", root / "fss/abacus")
        self.stills(root / "fss/zebra", root / "fss/zebra")
        for name in ("DUTS-TR", "DUTS-TE"):
            self.stills(root / f"{name}/{name}-Image", root / f"{name}/{name}-Mask")
            for path in (root / f"{name}/{name}-Mask").iterdir():
                path.rename(path.with_name(path.name.replace("Mask", "Image")))
        self.stills(root / "ecssd/images", root / "ecssd/ground_truth_mask")
        self.stills(root / "HRSOD/images", root / "HRSOD/masks")
        self.stills(root / "BIG/val", root / "BIG/val", ("_im", "_gt"))

    def _coco(self, root: Path) -> None:
        self.stills(root / "train2017", root / "masks/train2017", mode="P")
        self.write(root / "more", root / "unused", frames=1)
        (root / "more/00000.jpg").rename(root / "train2017/without.jpg")

    def _images(self, root: Path) -> None:
        self.stills(root / "images", root / "masks", mode="P")

    def _paper(self, root: Path) -> list[str]:
        self._davis2017(root)
        self._youtube2019(self.folder / "youtube")
        (self.folder / "youtube/train").rename(self.folder / "youtube/train_480p")
        (self.folder / "youtube/train").mkdir()
        shutil.copy(self.folder / "youtube/train_480p/meta.json", self.folder / "youtube/train")
        self._static(self.folder / "static")
        return [f"youtube_root={self.folder / 'youtube'}", f"static_root={self.folder / 'static'}"]

    def _dmn_aoa_paper(self, root: Path) -> list[str]:
        self._davis2017(root)
        self._coco(self.folder / "coco")
        return [f"coco_root={self.folder / 'coco'}"]


@pytest.fixture
def tiny_sets(tmp_path: Path, write_video: Callable[..., None]) -> TinySets:
    """Makes a tiny tree of every data set: `tiny_sets.make("mose")`."""
    return TinySets(tmp_path / "sets", write_video)
