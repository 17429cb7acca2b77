import numpy as np
import pytest
import torch

from memvos.errors import InputError
from memvos.lit.proposal_writer import write_videos
from memvos.model.proposal_cache import CachedProposals, read_proposals
from memvos.model.proposals import Proposals

FACTS = {"data": "mine", "split": "test", "source": "boxes"}


class Clip:
    """Two frames of noise."""

    def __init__(self, name: str) -> None:
        self.name, self.frame_names, self.size = name, ("a", "b"), (32, 48)

    def __len__(self):
        return 2

    def image(self, t):
        return np.random.default_rng(t).integers(0, 255, (32, 48, 3), dtype=np.uint8)


class Boxes:
    """As many proposals as the frame's number and one, and an invalid one; counts its calls."""

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, image, place):
        self.asked.append(place.names[0])
        count = place.time + 1
        boxes = torch.tensor([[2.0, 4, 20, 24]]).repeat(count, 1)
        found = Proposals.of_image(boxes, torch.ones(count, 28, 28), torch.ones(count))
        return Proposals(*found._filled(count + 1))


def test_every_frame_is_written_once_and_what_is_there_is_kept(tmp_path):
    source = Boxes()
    assert write_videos(source, [Clip("x")], tmp_path, FACTS, progress=False) == (1, 0, 3, 2)
    assert write_videos(source, [Clip("x"), Clip("y")], tmp_path, FACTS, progress=False) == (1, 1, 3, 2)
    assert source.asked == [("x", "a"), ("x", "b"), ("y", "a"), ("y", "b")]
    kept = read_proposals(tmp_path / "y.npz")
    assert (kept.size, kept.facts) == ((32, 48), FACTS)
    assert [entry.valid.sum().item() for entry in kept.frames.values()] == [1, 2]


def test_what_was_written_is_read_for_the_same_frames(tmp_path):
    from memvos.data.clip import normalise
    from memvos.model.interface import Place

    clip = Clip("x")
    write_videos(Boxes(), [clip], tmp_path, FACTS, progress=False)
    cached = CachedProposals(tmp_path)
    cached.check([clip])
    found = cached(normalise(torch.as_tensor(clip.image(1))).unsqueeze(0), Place(1, (("x", "b"),)))
    assert found.boxes.tolist() == [[[2, 4, 20, 24]] * 2]


def test_a_folder_with_proposals_of_another_source_is_refused(tmp_path):
    write_videos(Boxes(), [Clip("x")], tmp_path, FACTS, progress=False)
    with pytest.raises(InputError, match=r"x\.npz was written otherwise: source is boxes there, discs here"):
        write_videos(Boxes(), [Clip("x")], tmp_path, {**FACTS, "source": "discs"}, progress=False)
