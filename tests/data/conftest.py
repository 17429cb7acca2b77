"""Training clips of made-up videos; hand-made scenes for the renderer, discs of one colour before grey; its clips."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memvos.data.datamodules import VideoClipDataModule
from memvos.data.synthetic import ensure_synthetic
from memvos.data.synthetic_scene import Body, Camera, Light, Scene
from memvos.data.synthetic_shapes import Contour, Outline
from memvos.data.synthetic_textures import Skin
from memvos.data.trees import DavisTree

SIZE = 128
ROUND = Outline(np.zeros((2, 6)), 1.0, 0.0)


@pytest.fixture
def module(davis_root: Path) -> Callable[..., VideoClipDataModule]:
    """A function that makes a datamodule of made-up videos: four batches of two clips of 32×32 an epoch."""

    def make(**options) -> VideoClipDataModule:
        options = {"size": 32, "batch_size": 2, "epoch_size": 8, **options}
        return VideoClipDataModule([DavisTree(davis_root, "train")], **options)

    return make


@pytest.fixture
def disc() -> Callable[..., Body]:
    """A function that makes a rigid disc of radius 0.2 (25.6 pixels), at rest in the middle unless told otherwise."""

    def make(frames: int = 4, label: int = 1, colour=(200, 40, 40), **changes) -> Body:
        body = Body(
            contour=Contour(np.random.default_rng(0), ROUND, frames, 0.0, 20),
            skin=Skin(lambda: np.full((64, 64, 3), colour)),
            detail=10.0,
            position=np.zeros((frames, 2)),
            radius=np.full(frames, 0.2),
            angle=np.zeros(frames),
            turn=np.zeros(frames),
            tint=np.ones((frames, 3)),
            label=label,
        )
        return replace(body, **changes)

    return make


@pytest.fixture
def scene_of() -> Callable[..., Scene]:
    """A function that puts bodies (back to front) before grey, 128×128, without noise and with a camera at rest."""

    def make(*bodies: Body, camera: dict | None = None, gain: np.ndarray | None = None) -> Scene:
        frames = len(bodies[0].radius)
        still = Camera(np.zeros((frames, 2)), np.ones(frames), np.zeros(frames), np.zeros((frames, 2)), 0.0)
        return Scene(
            size=(SIZE, SIZE),
            bodies=bodies,
            background=Skin(lambda: np.full((2 * SIZE, 2 * SIZE, 3), 90)),
            camera=replace(still, **(camera or {})),
            light=Light(np.ones(frames) if gain is None else gain, np.zeros(frames), 0.0),
            noise=0.0,
            seed=0,
        )

    return make


def file_hashes(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder by its relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="session")
def content() -> Callable[[Path], dict[str, str]]:
    """A function that hashes every file below a folder, by its relative path."""
    return file_hashes


@pytest.fixture(scope="session")
def small() -> dict:
    """The settings of a split of four clips that is rendered in a moment."""
    return {"difficulty": "easy", "split": "test", "clips": 4, "frames": 3, "size": (48, 64)}


@pytest.fixture(scope="session")
def reference(tmp_path_factory, small) -> dict[str, str]:
    """What an undisturbed rendering of `small` consists of."""
    return file_hashes(ensure_synthetic(tmp_path_factory.mktemp("reference"), **small))
