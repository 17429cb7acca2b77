import json

import numpy as np
import pytest
import torch

from memvos.errors import InputError
from memvos.model.coco import CocoProposals, decode_runs
from memvos.model.interface import Place
from memvos.model.proposal_cache import CachedProposals
from memvos.model.proposal_sources import DetectorProposals, NoProposals, check_source, in_unit_range
from memvos.model.proposals import Proposals, recall, select, tight

IMAGE = torch.zeros(1, 3, 32, 48)


def discs(count: int = 4, side: int = 28, seed: int = 0) -> Proposals:
    """Discs of random boxes within 48 × 32 pixels."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([24.0, 16.0])
    sides = torch.rand(count, 2, generator=generator) * torch.tensor([16.0, 8.0]) + 8
    axis = torch.linspace(-1, 1, side)
    disc = (axis.view(-1, 1).square() + axis.square() < 0.9).float()
    scores = torch.linspace(0.9, 0.5, count)
    return Proposals.of_image(torch.cat([corner, corner + sides], dim=1), disc.expand(count, side, side), scores)


def test_a_full_box_is_pasted_where_it_is():
    full = Proposals.of_image(torch.tensor([[8.0, 4, 24, 20]]), torch.ones(1, 28, 28), torch.ones(1))
    pasted = full.paste((32, 48), (32, 48))[0, 0] > 0.5
    expected = torch.zeros(32, 48, dtype=torch.bool)
    expected[4:20, 8:24] = True
    assert torch.equal(pasted, expected)
    coarse = full.paste((32, 48), (8, 12))[0, 0] > 0.5
    assert torch.equal(coarse, expected[2::4, 2::4])


def test_pasting_agrees_with_torchvision():
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    proposals, size = discs(6).moved((15.0, 15.0), (0.0, 0.0)), (480, 720)
    ours = proposals.paste(size, size)[0] > 0.5
    theirs = paste_masks_in_image(proposals.masks[0].unsqueeze(1), proposals.boxes[0], size)[:, 0] > 0.5
    union = (ours | theirs).flatten(1).sum(dim=1)
    assert ((ours & theirs).flatten(1).sum(dim=1) / union).min() > 0.97  # theirs rounds boxes to whole pixels


def test_images_are_filled_up_with_invalid_proposals():
    joined = Proposals.join([discs(2), Proposals.none(), discs(3)])
    assert joined.valid.tolist() == [[True, True, False], [False] * 3, [True] * 3]
    assert not joined.paste((32, 48), (8, 12))[1].any()
    assert Proposals.join([Proposals.none()]).valid.tolist() == [[False]]


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected boxes"):
        Proposals.of_image(torch.zeros(2, 4), torch.zeros(3, 28, 28), torch.zeros(2))


def test_boxes_are_shrunk_to_their_masks():
    mask = torch.zeros(1, 4, 4)
    mask[0, 1:3, 0:2] = 1
    assert tight(torch.tensor([[10.0, 20, 18, 28]]), mask).tolist() == [[10, 22, 14, 26]]


def test_selection_suppresses_across_classes_and_keeps_the_best():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 20, 10, 30]])
    found = Proposals.of_image(boxes, torch.ones(4, 28, 28), torch.tensor([0.5, 0.9, 0.3, 0.4]))
    assert select(found).scores[0].tolist() == pytest.approx([0.9, 0.4, 0.3])
    assert select(found, most=1).scores[0].tolist() == pytest.approx([0.9])
    assert select(found, overlap=None).scores[0].tolist() == pytest.approx([0.9, 0.5, 0.4, 0.3])


def test_a_proposal_with_an_empty_mask_is_dropped():
    found = Proposals.of_image(torch.tensor([[0.0, 0, 9, 9]]), torch.zeros(1, 28, 28), torch.ones(1))
    assert select(found).valid.shape == (1, 0)


def test_recall_counts_objects_that_a_proposal_covers():
    found = Proposals.of_image(torch.tensor([[0.0, 0, 10, 10]]), torch.ones(1, 28, 28), torch.ones(1))
    masks = torch.zeros(1, 3, 32, 48)
    masks[0, 0, :10, :10] = 1
    masks[0, 1, :10, :6] = 1
    assert recall(found, masks) == ({0.5: 2, 0.7: 1}, 2)  # the third object is not there


def test_without_a_source_nothing_runs():
    with pytest.raises(InputError, match="has no source of them; choose a source"):
        NoProposals()(IMAGE, Place())
    with pytest.raises(InputError, match="has no checkpoint"):
        DetectorProposals(torch.nn.Identity)(IMAGE, Place())
    with pytest.raises(InputError, match="no folder of cached proposals"):
        CachedProposals()(IMAGE, Place(0, (("dog", "00000"),)))
    with pytest.raises(InputError, match="no file of COCO results"):
        CocoProposals()(IMAGE, Place())


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


def test_a_detector_sees_the_frame_without_its_padding_in_unit_range():
    source = DetectorProposals(OneDisc, "file")
    found = source(torch.zeros(2, 3, 32, 48), Place(window=(4.0, 6.0, 40.0, 30.0)))
    assert found.boxes[:, 0].tolist() == [[6, 8, 38, 28]] * 2
    assert source._detector.seen[0].shape == (3, 24, 36)
    assert source._detector.seen[0][:, 0, 0].tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert source.__getstate__()["_detector"] is None


def test_unit_range_undoes_the_normalisation():
    from memvos.data.clip import normalise

    image = torch.randint(0, 256, (1, 4, 5, 3), dtype=torch.uint8)
    torch.testing.assert_close(in_unit_range(normalise(image)), image.movedim(-1, 1) / 255, atol=1e-6, rtol=0)


def test_runs_go_down_the_columns():
    """2 rows, 3 columns: skip one pixel, take two, skip one, take one, skip one."""
    expected = np.array([[0, 1, 1], [1, 0, 0]], dtype=bool)
    assert np.array_equal(decode_runs({"size": [2, 3], "counts": [1, 2, 1, 1, 1]}), expected)


def test_packed_runs_are_unpacked():
    """Five bits a character, low ones first, 48 added; from the fourth run on the difference to two runs before."""
    runs = [49, 10, 20, 10, 11]  # the last two are coded as 10 - 10 = 0 and 11 - 20 = -9
    mask = decode_runs({"size": [10, 10], "counts": "a1:d00G"})
    assert np.array_equal(mask, decode_runs({"size": [10, 10], "counts": runs}))
    assert mask.T.flatten().nonzero()[0].tolist() == [*range(49, 59), *range(79, 89)]


def test_runs_that_do_not_add_up_are_refused():
    with pytest.raises(InputError, match="runs of 3 pixels; expected 2×3"):
        decode_runs({"size": [2, 3], "counts": [1, 2]})


def test_coco_results_are_found_by_frame(tmp_path):
    mask = {"size": [32, 48], "counts": [32 * 10, 32 * 8, 32 * 30]}  # columns 10 to 18
    entry = {"image_id": 7, "bbox": [10, 0, 8, 32], "score": 0.8, "segmentation": mask, "category_id": 3}
    (tmp_path / "results.json").write_text(json.dumps([entry]))
    (tmp_path / "images.json").write_text(json.dumps({"images": [{"id": 7, "file_name": "dog/00003.jpg"}]}))
    source = CocoProposals(tmp_path / "results.json", tmp_path / "images.json")
    found = source(IMAGE, Place(3, (("dog", "00003"),)))
    assert (found.paste((32, 48), (32, 48))[0, 0] > 0.5).nonzero()[:, 1].unique().tolist() == list(range(10, 18))
    assert not source(IMAGE, Place(4, (("dog", "00004"),))).valid.any()


class Dog:
    """A video, as far as a source looks at it."""

    name, frame_names, size = "dog", ("00000", "00003"), (32, 48)


def coco_results(folder, **changes) -> CocoProposals:
    """A file of one result, a mask of columns 10 to 18."""
    mask = {"size": [32, 48], "counts": [32 * 10, 32 * 8, 32 * 30]}
    entry = {"image_id": "dog/00003", "bbox": [10, 0, 8, 32], "score": 0.8, "segmentation": mask, **changes}
    entry = {key: value for key, value in entry.items() if value is not None}
    (folder / "results.json").write_text(json.dumps([entry]))
    return CocoProposals(folder / "results.json")


def test_coco_results_of_other_videos_are_refused_before_anything_is_computed(tmp_path):
    check_source(coco_results(tmp_path), [Dog()])  # a frame without results has no proposals
    with pytest.raises(InputError, match="no result of any frame of video 'dog', whose first is '00000'; it names"):
        check_source(coco_results(tmp_path, image_id="cat/00003"), [Dog()])
    check_source(OneDisc(), [Dog()])
    check_source(None, [Dog()])


def test_coco_images_are_never_named_by_numbers_alone(tmp_path):
    source = coco_results(tmp_path, image_id=7)
    with pytest.raises(InputError, match='image_id 7 does not name a "video/frame"; give the table of the images'):
        source(IMAGE, Place(3, (("dog", "00003"),)))
    (tmp_path / "images.json").write_text(json.dumps({"images": [{"id": 8, "file_name": "dog/00003.jpg"}]}))
    source.images = tmp_path / "images.json"
    with pytest.raises(InputError, match="image_id 7 is not in "):
        source.check([Dog()])


@pytest.mark.parametrize("key", ["image_id", "bbox", "score", "segmentation"])
def test_coco_results_without_what_is_needed_are_refused(tmp_path, key):
    with pytest.raises(InputError, match=f"result 0 has no {key}; expected image_id, bbox, score, segmentation"):
        coco_results(tmp_path, **{key: None}).check([Dog()])


def test_coco_files_of_another_form_are_refused(tmp_path):
    with pytest.raises(InputError, match="result 0 has polygons; expected run-length masks"):
        coco_results(tmp_path, segmentation=[[0, 0, 1, 1, 2, 0]]).check([Dog()])
    source = coco_results(tmp_path)
    for content, message in (("[]", 'expected {"images"'), ("{", "is no JSON")):
        (tmp_path / "images.json").write_text(content)
        source.images = tmp_path / "images.json"
        with pytest.raises(InputError, match=message):
            source.check([Dog()])


def test_coco_files_that_are_not_there_or_of_another_form_are_refused(tmp_path):
    place = Place(0, (("dog", "00000"),))
    with pytest.raises(InputError, match="no COCO results at"):
        CocoProposals(tmp_path / "none.json")(IMAGE, place)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="expected a list of COCO results, got a dict"):
        CocoProposals(tmp_path / "other.json")(IMAGE, place)
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(InputError, match="no COCO images table"):
        CocoProposals(tmp_path / "results.json", tmp_path / "none.json")(IMAGE, place)
