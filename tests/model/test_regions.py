import pytest
import torch

from memvos.model.regions import RegionFeatures, boxes_of, enlarge, group_norm, jitter, pool, pool_masks


def test_a_box_holds_the_pixels_an_object_wins():
    masks = torch.zeros(1, 2, 40, 60)
    masks[0, 0, 10:20, 30:50] = 0.9
    masks[0, 1, 15:20, 30:50] = 0.05
    boxes, seen = boxes_of(masks)
    assert boxes[0, 0].tolist() == [30, 10, 50, 20]
    assert seen.tolist() == [[True, False]]
    assert boxes[0, 1].tolist() == [0, 0, 60, 40]  # not seen: the whole image


def test_stray_pixels_do_not_blow_up_a_box():
    masks = torch.zeros(1, 1, 100, 100)
    masks[0, 0, 20:60, 20:60] = 1
    masks[0, 0, 99, 99] = 1
    assert boxes_of(masks)[0][0, 0].tolist() == [20, 20, 60, 60]
    assert boxes_of(masks, trim=0)[0][0, 0].tolist() == [20, 20, 100, 100]


def test_a_single_pixel_has_a_box():
    masks = torch.zeros(1, 1, 8, 8)
    masks[0, 0, 7, 3] = 1
    assert boxes_of(masks)[0][0, 0].tolist() == [3, 7, 4, 8]


def test_boxes_grow_about_their_centres_and_stay_inside():
    boxes = torch.tensor([[20.0, 20, 40, 60], [0, 0, 4, 4]])
    assert enlarge(boxes, 1.5, (100, 100), least=8).tolist() == [[15, 10, 45, 70], [0, 0, 6, 6]]


def test_jittered_boxes_stay_inside_and_never_shrink_to_nothing():
    boxes = torch.tensor([[95.0, 95, 100, 100]]).expand(200, 4)
    moved = jitter(boxes, 2.0, (0.1, 3.0), (100, 100))
    assert moved.min() >= 0
    assert moved.max() <= 100
    assert (moved[:, 2:] - moved[:, :2]).min() >= 1


def test_pooling_reads_what_lies_in_the_box():
    maps = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16)  # the value is the column
    crop = pool(maps, torch.tensor([[[32.0, 0, 64, 64]]]), 4, (64, 64))  # columns 8 to 16, in steps of 2
    assert crop[0, 0, 0, 0].tolist() == pytest.approx([8.5, 10.5, 12.5, 14.25], abs=0.26)


def test_masks_are_cropped_each_by_its_own_box():
    masks = torch.zeros(1, 2, 32, 32)
    masks[0, 0, :16], masks[0, 1, 16:] = 1, 1
    crops = pool_masks(masks, torch.tensor([[[0.0, 0, 32, 16], [0, 0, 32, 16]]]), 4)
    assert crops[0, 0].min() > 0.9
    assert crops[0, 1, 0, :3].max() == 0


def test_group_norm_takes_as_many_groups_as_divide_the_channels():
    assert [group_norm(channels).num_groups for channels in (256, 48, 16)] == [32, 16, 16]


def test_regions_and_whole_frames_share_their_weights():
    regions = RegionFeatures((4, 8), 16, 5)
    features = (torch.randn(1, 4, 16, 16), torch.randn(1, 8, 8, 8))
    assert regions(features, torch.tensor([[[0.0, 0, 64, 64]] * 3]), (64, 64)).shape == (1, 3, 16, 5, 5)
    assert regions.whole(features).shape == (1, 16, 8, 8)
