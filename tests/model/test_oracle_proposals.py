"""True masks as proposals: where they are, and when they are refused."""

import numpy as np
import pytest
import torch

from memvos.errors import InputError
from memvos.model.interface import Place
from memvos.model.oracle_proposals import OracleProposals
from memvos.model.proposals import recall


class Dog:
    """A video of two frames of 32×48: objects 1 and 4 in the first, none in the second."""

    name, frame_names, annotated, first_masks_only = "dog", ("00000", "00005"), (0, 1), False

    def __len__(self) -> int:
        return 2

    def labels(self, t: int) -> np.ndarray:
        labels = np.zeros((32, 48), np.uint8)
        if t == 0:
            labels[4:20, 6:22], labels[8:24, 30:44] = 1, 4
        return labels


@pytest.fixture
def source():
    """The source of that video."""
    made = OracleProposals()
    made.check([Dog()])
    return made


def at(frame: str, **place) -> Place:
    return Place(0, (("dog", frame),), **place)


def test_every_true_object_of_the_frame_is_a_proposal_and_nothing_else(source):
    found = source(torch.zeros(1, 3, 32, 48), at("00000"))
    assert found.boxes[0].tolist() == [[6, 4, 22, 20], [30, 8, 44, 24]]
    masks = torch.from_numpy(np.stack([Dog().labels(0) == value for value in (1, 4)])).float()
    assert recall(found, masks.unsqueeze(0)) == ({0.5: 2, 0.7: 2}, 2)
    assert not source(torch.zeros(1, 3, 32, 48), at("00005")).valid.any()


def test_they_go_with_the_frame_where_the_image_shows_it(source):
    found = source(torch.zeros(1, 3, 80, 112), at("00000", window=(8.0, 16.0, 104.0, 80.0)))  # twice as large
    assert found.boxes[0, 0].tolist() == [8 + 12, 16 + 8, 8 + 44, 16 + 40]


@pytest.mark.parametrize("lack", [{"annotated": (0,)}, {"first_masks_only": True}])
def test_videos_without_all_masks_are_refused_before_anything_is_computed(lack):
    video = Dog()
    for name, value in lack.items():
        setattr(video, name, value)
    with pytest.raises(InputError, match=r"needs the masks of every frame, and video 'dog' has those of [12] of 2"):
        OracleProposals().check([video])


def test_other_videos_and_frames_without_names_are_refused(source):
    with pytest.raises(InputError, match=r"knows the evaluated videos, and 'cat' is none"):
        source(torch.zeros(1, 3, 32, 48), Place(0, (("cat", "00000"),)))
    with pytest.raises(InputError, match=r"this frame has no name"):
        source(torch.zeros(1, 3, 32, 48), Place(0))
