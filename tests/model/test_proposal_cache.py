import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from memvos.data.clip import normalise
from memvos.errors import InputError
from memvos.model.interface import Place
from memvos.model.proposal_cache import CachedProposals, facts_of, look, read_proposals, write_proposals
from memvos.model.proposal_sources import in_unit_range
from memvos.model.proposals import Proposals

SIZE = (64, 96)
FRAMES = ("00000", "00001", "00002")


def squares(count: int = 3, seed: int = 0) -> Proposals:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([48.0, 32.0])
    masks = (torch.rand(count, 28, 28, generator=generator) > 0.3).float()
    return Proposals.of_image(torch.cat([corner, corner + 16], dim=1), masks, torch.linspace(0.9, 0.5, count))


def picture(seed: int = 0) -> torch.Tensor:
    """A frame (1, 3, 64, 96), normalised, with colours that differ from place to place."""
    coarse = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(seed))
    pixels = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear", align_corners=False)
    return normalise((pixels * 255).byte().movedim(1, -1))


def shown(frame: str = "00000", video: str = "dog", window=None) -> Place:
    return Place(0, ((video, frame),), window)


@pytest.fixture
def folder(tmp_path):
    """Proposals of one video, whose three frames look the same."""
    frames = {"00000": squares(), "00001": Proposals.none(), "00002": squares(2, seed=1)}
    same = look(in_unit_range(picture()))[0]
    facts = {"data": "davis2017", "split": "test"}
    write_proposals(tmp_path / "dog.npz", SIZE, frames, dict.fromkeys(frames, same), facts)
    return tmp_path


def test_files_of_proposals_go_round(folder):
    kept = read_proposals(folder / "dog.npz")
    assert (kept.size, tuple(kept.frames), kept.facts) == (SIZE, FRAMES, {"data": "davis2017", "split": "test"})
    assert kept.frames["00001"].valid.shape == (1, 0)
    torch.testing.assert_close(kept.frames["00002"].boxes, squares(2, seed=1).boxes)
    torch.testing.assert_close(kept.frames["00002"].masks, squares(2, seed=1).masks, atol=1 / 255, rtol=0)
    assert facts_of(folder / "dog.npz") == kept.facts
    assert [path.name for path in folder.iterdir()] == ["dog.npz"]  # no draft is left


def test_cached_proposals_come_in_pixels_of_the_image(folder):
    half = torch.nn.functional.interpolate(picture(), scale_factor=0.5, mode="bilinear", antialias=True)
    padded = torch.nn.functional.pad(half, (4, 4, 2, 2))
    found = CachedProposals(folder)(padded, shown(window=(4.0, 2.0, 52.0, 34.0)))
    torch.testing.assert_close(found.boxes, squares().boxes / 2 + torch.tensor([4.0, 2.0, 4.0, 2.0]))


@pytest.mark.parametrize(
    "image",
    [picture(seed=1), picture().flip(3), picture().transpose(2, 3), picture()[:, :, :, :64]],
    ids=["another frame", "mirrored", "turned", "cut"],
)
def test_proposals_of_other_frames_are_refused(folder, image):
    with pytest.raises(InputError, match=r"was written of other frames \(davis2017 test, 64×96 pixels\) than the one"):
        CachedProposals(folder)(image, shown())


def test_without_a_folder_nothing_runs():
    with pytest.raises(InputError, match="no folder of cached proposals"):
        CachedProposals()(picture(), shown())


def test_what_is_not_there_is_told(folder):
    source = CachedProposals(folder)
    for place, message in (
        (Place(), "has no name; give"),
        (shown("00009"), "no proposals of frame '00009'; write it with `memvos data proposals`"),
        (shown(video="cat"), "no cached proposals at"),
    ):
        with pytest.raises(InputError, match=message):
            source(picture(), place)


def test_videos_are_looked_over_before_anything_is_computed(folder):
    source = CachedProposals(folder)
    source.check([SimpleNamespace(name="dog", frame_names=FRAMES[:2], size=SIZE)])
    for video, message in (
        (SimpleNamespace(name="cat", frame_names=FRAMES, size=SIZE), "no cached proposals at .*cat.npz"),
        (
            SimpleNamespace(name="dog", frame_names=FRAMES, size=(32, 48)),
            r"of frames of 64×96 pixels \(davis2017 test\), the data set's have 32×48",
        ),
        (
            SimpleNamespace(name="dog", frame_names=(*FRAMES, "00003"), size=SIZE),
            r"\(davis2017 test\) lacks 1 of 4 frames, the first is '00003'",
        ),
    ):
        with pytest.raises(InputError, match=message):
            source.check([video])


def test_files_of_another_kind_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", boxes=np.zeros(3))
    with pytest.raises(InputError, match="not a file of proposals"):
        read_proposals(tmp_path / "other.npz")
    np.savez(tmp_path / "new.npz", header=np.array(json.dumps({"format": 99})))
    with pytest.raises(InputError, match="has format 99, this version reads 2"):
        read_proposals(tmp_path / "new.npz")


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-200])


def without_looks(path):
    with np.load(path) as content:
        np.savez(path, **{name: content[name] for name in content.files if name != "looks"})


def with_one_box_less(path):
    with np.load(path) as content:
        np.savez(path, **{**content, "boxes": content["boxes"][:-1]})


def an_array(path):
    np.save(path.with_suffix(".npy"), np.zeros(3))
    path.with_suffix(".npy").replace(path)


DAMAGES = {
    "cut off": cut_off,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("boxes"),
    "an array": an_array,
    "no JSON": lambda path: np.savez(path, header=np.array("{")),
    "no format": lambda path: np.savez(path, header=np.array("{}")),
    "without looks": without_looks,
    "with one box less": with_one_box_less,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_told_with_the_remedy(folder, damage):
    DAMAGES[damage](folder / "dog.npz")
    told = r"dog\.npz is damaged, or no file of proposals \(.*\); write it with `memvos data proposals`"
    with pytest.raises(InputError, match=told):
        read_proposals(folder / "dog.npz")
