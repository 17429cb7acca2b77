import numpy as np
import pytest
import torch
from PIL import Image

from memvos.decode.sizes import FrameSize, read_frame
from memvos.errors import InputError


@pytest.mark.parametrize(
    ("size", "padding"),
    [
        ((480, 854), (5, 5, 0, 0)),  # DAVIS: 854 -> 864
        ((120, 160), (0, 0, 4, 4)),
        ((91, 125), (1, 2, 2, 3)),  # an odd rest puts the larger part right and bottom
        ((16, 32), (0, 0, 0, 0)),
        ((1, 1), (7, 8, 7, 8)),
    ],
)
def test_padding_is_symmetric_with_the_floor_half_first(size, padding):
    plan = FrameSize.fit(size, 16)
    assert plan.padding == padding
    padded = plan.shrink(torch.ones(1, 3, *size))
    assert padded.shape[2] % 16 == padded.shape[3] % 16 == 0
    assert padded.sum() == 3 * size[0] * size[1]
    assert torch.equal(plan.restore(padded), torch.ones(1, 3, *size))


def test_larger_frames_are_scaled_to_the_short_side_and_back():
    plan = FrameSize.fit((60, 100), 16, short_side=30)
    assert plan.inner == (30, 50)
    image = plan.shrink(torch.full((1, 3, 60, 100), 0.5))
    assert image.shape == (1, 3, 32, 64)
    assert plan.restore(image).shape == (1, 3, 60, 100)
    assert torch.allclose(plan.restore(image), torch.tensor(0.5))


def test_smaller_frames_keep_their_size():
    assert FrameSize.fit((60, 100), 16, short_side=240).inner == (60, 100)


def test_masks_stay_hard_when_scaled():
    masks = torch.zeros(1, 1, 60, 100)
    masks[..., 11:33, 17:51] = 1
    assert set(FrameSize.fit((60, 100), 16, short_side=30).shrink_masks(masks).unique().tolist()) == {0, 1}


def test_objects_too_small_for_the_grid_keep_a_pixel_of_their_own():
    masks = torch.zeros(1, 3, 60, 100)
    masks[0, 0, 10:50, 10:80] = 1
    masks[0, 0, 20, 20], masks[0, 1, 20, 20] = 0, 1  # between the positions that nearest takes
    masks[0, 2, 2, 2] = 1
    shrunk = FrameSize.fit((60, 100), 16, short_side=30).shrink_masks(masks)
    assert shrunk[0, 1:].sum(dim=(1, 2)).tolist() == [1, 1]
    assert shrunk.sum(dim=1).max() == 1


@pytest.mark.parametrize(
    "pixels",
    [
        [(1, 1), (0, 0)],  # the grid takes the first, and the second touches the same pixel of it
        [(0, 0), (0, 1)],  # the grid takes neither, and both touch the same pixel of it
        [(0, 0), (0, 1), (1, 0), (1, 1)],
    ],
)
def test_no_small_object_takes_the_last_pixel_of_another(pixels):
    masks = torch.zeros(1, len(pixels), 60, 100)
    for slot, (row, column) in enumerate(pixels):
        masks[0, slot, row, column] = 1
    shrunk = FrameSize.fit((60, 100), 2, short_side=30).shrink_masks(masks)
    assert shrunk.sum(dim=(2, 3)).tolist() == [[1] * len(pixels)]
    assert shrunk.sum(dim=1).max() == 1
    assert shrunk.sum(dim=1)[0, :2, :2].sum() == len(pixels)  # next to each other


def test_a_thin_object_leaves_a_small_one_its_last_pixel():
    masks = torch.zeros(1, 2, 60, 100)
    masks[0, 0, 11, 21], masks[0, 1, 10, 10:40:1] = 1, 1  # the grid takes odd rows and columns
    shrunk = FrameSize.fit((60, 100), 2, short_side=30).shrink_masks(masks)
    assert shrunk.sum(dim=(2, 3)).tolist() == [[1, 14]]
    assert shrunk.sum(dim=1).max() == 1


@pytest.mark.parametrize("short_side", [0, -3, "480", 2.5, True])
def test_a_short_side_that_is_no_number_of_pixels_is_refused(short_side):
    with pytest.raises(InputError, match="short_side as a whole number from 1"):
        FrameSize.fit((60, 100), 16, short_side)


def test_pictures_of_pil_are_frames():
    frame = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 3)
    assert read_frame(Image.fromarray(frame)).tolist() == frame.tolist()


def test_flipped_and_read_only_frames_are_taken():
    frame = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 3)
    frame.flags.writeable = False
    assert read_frame(frame).tolist() == frame.tolist()
    assert read_frame(frame[..., ::-1])[0, 0].tolist() == [2, 1, 0]


@pytest.mark.parametrize("size", [(1, 4), (4, 1), (1, 1)])
def test_a_frame_of_a_pixel_may_be_flipped_too(size):
    frame = np.arange(3 * size[0] * size[1], dtype=np.uint8).reshape(*size, 3)
    assert read_frame(frame[::-1]).tolist() == frame[::-1].tolist()
    assert read_frame(frame[:, ::-1]).tolist() == frame[:, ::-1].tolist()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), r"uint8 RGB \(H, W, 3\), got float32 \(4, 4, 3\)"),
        (None, r"got object \(\)"),
        ("frame.png", r"got <U9 \(\)"),
        (np.zeros((4, 4), np.uint8), r"got uint8 \(4, 4\); convert it"),
        (np.zeros((4, 4, 4), np.uint8), r"got uint8 \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got uint8 \(0, 4, 3\)"),
    ],
)
def test_frames_of_another_type_or_shape_are_refused(frame, message):
    with pytest.raises(InputError, match=message):
        read_frame(frame)
