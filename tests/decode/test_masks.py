import numpy as np
import pytest
import torch

from memvos.decode.masks import davis_palette, grown, join_labels, split_masks, to_tensor
from memvos.errors import InputError

LABELS = np.array([[0, 7], [7, 3]], np.uint8)


def test_label_map_splits_into_its_ids_with_gaps():
    split = split_masks(LABELS, (2, 2))
    assert list(split) == [3, 7]
    assert split[7].tolist() == [[False, True], [True, False]]


def test_bool_map_is_object_one():
    assert list(split_masks(LABELS > 0, (2, 2))) == [1]


def test_tensor_label_map_is_taken():
    assert list(split_masks(torch.from_numpy(LABELS), (2, 2))) == [3, 7]


def test_mapping_keeps_its_order():
    assert list(split_masks({9: LABELS > 0, 2: LABELS == 3}, (2, 2))) == [9, 2]


def test_255_is_an_id_like_any_other():
    assert list(split_masks(np.array([[0, 255]], np.uint8), (1, 2))) == [255]


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.zeros((2, 2), np.uint8), "the given mask shows no object, only background"),
        ({}, "the given mask shows no object"),
        (np.zeros((3, 2), np.uint8), r"the size of the frame, 2×2 pixels, got 2×3; resize it \(nearest neighbour\)"),
        (np.zeros((2, 2, 3), np.uint8), r"the given mask as an array \(H, W\), got shape \(2, 2, 3\); give one value"),
        (7, r"the given mask as an array \(H, W\), got shape \(\)"),
        (np.ones((2, 2), np.float32), "label map of integers from 0, got float32"),
        (np.full((2, 2), -1), "label map of integers from 0, got int64 from -1"),
        ({1: np.zeros((2, 3), bool)}, "the given mask of object 1 in the size of the frame, 2×2 pixels, got 3×2"),
        ({1: LABELS}, "the given mask of object 1 as bool .* got uint8; compare it first"),
        ({0: LABELS > 0}, "object ids to be integers from 1 to 65535, got 0"),
        ({2**16: LABELS > 0}, "object ids to be integers from 1 to 65535, got 65536"),
        (np.full((2, 2), 2**31), "object ids to be integers from 1 to 65535, got 2147483648"),
        ({"cat": LABELS > 0}, "object ids to be integers from 1 to 65535, got 'cat'"),
        (torch.from_numpy(LABELS).bfloat16(), "an array of integers or bool, got a Tensor .*BFloat16"),
        ({1: [[1, 0], [1]]}, "the given mask of object 1 as an array of integers or bool, got a list "),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, message):
    with pytest.raises(InputError, match=message):
        split_masks(masks, (2, 2))


def test_a_mask_that_is_turned_by_a_quarter_is_to_be_turned_back():
    with pytest.raises(InputError, match="the size of the frame, 3×2 pixels, got 2×3; it is turned by a quarter: turn"):
        split_masks(np.ones((3, 2), np.uint8), (2, 3))


def test_winners_become_ids_in_the_smallest_type_that_holds_them():
    winners = np.array([[0, 1, 2]])
    assert join_labels(winners, [3, 7]).tolist() == [[0, 3, 7]]
    assert join_labels(winners, [3, 7]).dtype == np.uint8
    assert join_labels(winners, [3, 700]).tolist() == [[0, 3, 700]]
    assert join_labels(winners, [3, 700]).dtype == np.int32


def test_later_mask_has_the_pixel_where_masks_overlap():
    masks = {1: np.array([[True, True]]), 2: np.array([[False, True]])}
    assert to_tensor(masks, torch.device("cpu"))[0].tolist() == [[[1, 0]], [[0, 1]]]


def test_palette_is_that_of_davis():
    palette = davis_palette()
    assert len(palette) == 768
    # label 1 is dark red, 2 dark green, 3 dark yellow, 4 dark blue, 8 the next bit of red
    assert [palette[3 * label : 3 * label + 3] for label in (0, 1, 2, 3, 4, 8)] == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [64, 0, 0],
    ]


def test_a_mask_grows_to_every_side():
    mask = torch.zeros(5, 6)
    mask[2, 2] = 0.75
    expected = torch.zeros(5, 6)
    expected[1:4, 1:4] = 0.75
    assert torch.equal(grown(mask, 1), expected)
    assert torch.equal(grown(mask, 0), mask)
