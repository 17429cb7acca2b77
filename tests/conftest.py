"""Fixtures used by more than one package's tests."""

import importlib.util
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image

torch.set_num_threads(1)
# A shell starts what runs in the background with SIGINT ignored; the tests of Ctrl-C need it as in the foreground.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
