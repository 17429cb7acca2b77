"""A maker of tiny memory records."""

import pytest
import torch

from memvos.model.interface import MemoryFrame


@pytest.fixture(scope="session")
def record():
    """record(time, *scores, size=1, valid=None): every number of key and value is the time, one score per object."""

    def make(time, *scores, size=1, valid=None):
        objects = len(scores)
        mark = torch.full((1, objects, 2, size, size), float(time))
        valid = None if valid is None else torch.tensor([valid])
        return MemoryFrame(mark, mark.clone(), torch.tensor([scores], dtype=torch.float64), time, valid=valid)

    return make
