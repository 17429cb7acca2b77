"""Fixtures used by more than one package's tests."""

import os
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded outputs and real clips beside the checkout; the test is skipped where it is absent."""
    folder = Path(os.environ.get("MEMVOS_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("no folder of recorded outputs beside the checkout")
    return folder
