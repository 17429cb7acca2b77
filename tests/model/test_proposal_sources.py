import pickle
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from memvos.data.clip import normalise
from memvos.errors import InputError
from memvos.model.backbone import ResNet
from memvos.model.detector import Detector
from memvos.model.interface import Place
from memvos.model.proposal_cache import CachedProposals
from memvos.model.proposal_sources import (
    DetectorProposals,
    NoProposals,
    check_source,
    detect,
    in_unit_range,
    named,
    placed,
)
from memvos.model.proposals import Proposals

IMAGE = torch.zeros(1, 3, 32, 48)


class OneDisc(torch.nn.Module):
    """A detector that finds a disc in the middle of every image."""

    def load(self, checkpoint):
        assert checkpoint == "file"

    def forward(self, images):
        self.seen = images
        return [
            {
                "boxes": torch.tensor([[2.0, 2, image.shape[2] - 2, image.shape[1] - 2]]),
                "masks": torch.ones(1, 1, 28, 28),
                "scores": torch.ones(1),
            }
            for image in images
        ]


def test_without_a_source_nothing_runs():
    with pytest.raises(InputError, match="has no source of them; choose a source"):
        NoProposals()(IMAGE, Place())
    with pytest.raises(InputError, match=r"the proposal detector has no checkpoint; choose a source"):
        DetectorProposals(torch.nn.Identity)(IMAGE, Place())


def test_a_detector_can_be_loaded_before_the_first_frame():
    source = DetectorProposals(OneDisc, "file")
    assert source.load() is source.load()  # once
    with pytest.raises(InputError, match=r"the proposal detector has no checkpoint"):
        DetectorProposals(OneDisc).load()


def test_a_detector_sees_the_frame_without_its_padding_in_unit_range():
    source = DetectorProposals(OneDisc, "file")
    found = source(torch.zeros(2, 3, 32, 48), Place(window=(4.0, 6.0, 40.0, 30.0)))
    assert found.boxes[:, 0].tolist() == [[6, 8, 38, 28]] * 2
    assert source._detector.seen[0].shape == (3, 24, 36)
    assert source._detector.seen[0][:, 0, 0].tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert source.__getstate__()["_detector"] is None


def test_unit_range_undoes_the_normalisation():
    image = torch.randint(0, 256, (1, 4, 5, 3), dtype=torch.uint8)
    torch.testing.assert_close(in_unit_range(normalise(image)), image.movedim(-1, 1) / 255, atol=1e-6, rtol=0)


def test_a_source_that_can_look_over_videos_does_so_and_others_take_any():
    videos, seen = [SimpleNamespace(name="dog", frame_names=("00000",), size=(32, 48))], []
    check_source(SimpleNamespace(check=seen.extend), videos)
    assert seen == videos
    for source in (NoProposals(), DetectorProposals(OneDisc, "file"), lambda image, place: Proposals.none(), None):
        check_source(source, videos)


def test_files_of_other_videos_are_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(InputError, match=r"no cached proposals at .*dog\.npz"):
        check_source(CachedProposals(tmp_path), [SimpleNamespace(name="dog", frame_names=("00000",), size=(32, 48))])


def test_a_checkpoint_that_does_not_fit_the_detector_is_refused(tmp_path):
    torch.save({"some.weight": torch.ones(1)}, tmp_path / "other.ckpt")
    small = partial(Detector, partial(ResNet, 18, width=8), width=16, hidden=16)
    with pytest.raises(InputError, match=r"other\.ckpt: not weights of this detector: missing detector\."):
        DetectorProposals(small, tmp_path / "other.ckpt")(IMAGE, Place())


def test_a_detector_is_loaded_once_when_the_first_frame_comes_and_anew_in_every_process():
    made = []

    def make():
        made.append(OneDisc())
        return made[-1]

    source = DetectorProposals(make, "file")
    assert not made
    for _ in range(2):
        source(IMAGE, Place())
    assert len(made) == 1
    assert not made[0].training
    again = pickle.loads(pickle.dumps(DetectorProposals(OneDisc, "file", most=7)))
    assert (again.most, again.checkpoint, again._detector) == (7, "file", None)


class Boxes(torch.nn.Module):
    """A detector that finds full boxes 20 pixels wide at the given places, the first with the best score."""

    def __init__(self, *places: int) -> None:
        super().__init__()
        self.places = places

    def forward(self, images):
        boxes = torch.tensor([[x, 0.0, x + 20, 10] for x in self.places]).reshape(-1, 4)
        scores = torch.linspace(0.9, 0.5, len(self.places))
        return [{"boxes": boxes, "masks": torch.ones(len(boxes), 1, 28, 28), "scores": scores} for _ in images]


def test_of_what_a_detector_finds_the_best_that_do_not_overlap_much_are_kept():
    detector = Boxes(0, 5, 12, 40)
    # widths of 20: 5 pixels apart they share 15 of 25 pixels, an IoU of 0.6; 12 apart 8 of 32, 0.25
    assert detect(detector, IMAGE, Place()).boxes[0, :, 0].tolist() == [0, 12, 40]
    assert detect(detector, IMAGE, Place(), overlap=0.7).boxes[0, :, 0].tolist() == [0, 5, 12, 40]
    assert detect(detector, IMAGE, Place(), most=2).boxes[0, :, 0].tolist() == [0, 12]


def test_images_in_which_nothing_is_found_have_one_invalid_proposal():
    found = detect(Boxes(), torch.zeros(2, 3, 32, 48), Place())
    assert found.valid.tolist() == [[False], [False]]


def test_a_detector_runs_in_float32_without_gradients_whatever_runs_around_it():
    class Weighted(Boxes):
        def __init__(self):
            super().__init__(0)
            self.conv = torch.nn.Conv2d(3, 1, 1)

        def forward(self, images):
            self.value = self.conv(images[0])
            return super().forward(images)

    detector = Weighted()
    with torch.autocast("cpu", torch.bfloat16):
        detect(detector, IMAGE.bfloat16(), Place())
    assert detector.value.dtype == torch.float32
    assert not detector.value.requires_grad


def test_colours_out_of_range_are_cut_off():
    assert in_unit_range(torch.full((1, 3, 1, 1), 9.0)).flatten().tolist() == [1, 1, 1]
    assert in_unit_range(torch.full((1, 3, 1, 1), -9.0)).flatten().tolist() == [0, 0, 0]


def test_proposals_are_moved_to_where_the_image_shows_the_frame():
    found = Proposals.of_image(torch.tensor([[10.0, 4, 20, 8]]), torch.ones(1, 28, 28), torch.ones(1))
    # a frame of 96×64 pixels, shown at half its size from (4, 2) on
    window = (4.0, 2.0, 52.0, 34.0)
    assert placed(found, (64, 96), torch.zeros(1, 3, 36, 56), Place(window=window)).boxes.tolist() == [[[9, 4, 14, 6]]]
    assert placed(found, (64, 96), torch.zeros(1, 3, 32, 96), Place()).boxes.tolist() == [[[10, 2, 20, 4]]]


def test_every_image_needs_a_name():
    names = (("dog", "00000"), ("dog", "00001"))
    assert named(Place(0, names), 2) == names
    for place in (Place(), Place(0, names[:1])):
        with pytest.raises(InputError, match=r"looked up by video and frame, and this frame has no name; give"):
            named(place, 2)
