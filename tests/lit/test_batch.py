import pytest

from memvos.errors import InputError
from memvos.lit import BatchSplit, split_batch


@pytest.mark.parametrize(
    ("total", "devices", "largest", "expected"),
    [
        (28, 2, None, BatchSplit(14, 1)),  # stage 0 as published
        (28, 1, 14, BatchSplit(14, 2)),
        (28, 1, 8, BatchSplit(7, 4)),
        (16, 8, 8, BatchSplit(2, 1)),
        (16, 1, 5, BatchSplit(4, 4)),
        (7, 1, 3, BatchSplit(1, 7)),
    ],
)
def test_a_global_batch_is_split_in_the_largest_pieces_that_fit(total, devices, largest, expected):
    assert split_batch(total, devices, largest) == expected


def test_devices_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(InputError, match="batch of 28 cannot be divided evenly over 3 devices; use one of 1, 2, 4, 7,"):
        split_batch(28, 3)


@pytest.mark.parametrize("numbers", [(0, 1, None), (4, 0, None), (4, 1, 0)])
def test_numbers_below_one_are_refused(numbers):
    with pytest.raises(InputError, match="of at least 1, got 0"):
        split_batch(*numbers)
