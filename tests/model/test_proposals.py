import pytest
import torch

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
