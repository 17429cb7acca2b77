import pytest

from memvos.errors import InputError
from memvos.lit import BatchSplit, most_devices, split_batch


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


@pytest.mark.parametrize(
    ("numbers", "name"),
    [((0, 1, None), "the global batch"), ((4, 0, None), "the number of devices"), ((4, 1, 0), "largest_batch")],
)
def test_numbers_below_one_are_refused(numbers, name):
    with pytest.raises(InputError, match=f"expected {name} as a whole number from 1.*, got 0"):
        split_batch(*numbers)


@pytest.mark.parametrize(
    ("total", "there", "taken"),
    [(28, 3, 2), (28, 5, 4), (28, 6, 4), (28, 8, 7), (16, 8, 8), (16, 3, 2), (16, 6, 4), (7, 6, 1), (4, 1, 1)],
)
def test_as_many_devices_are_taken_as_share_the_batch_evenly(total, there, taken):
    assert most_devices(total, there) == taken
    assert split_batch(total, taken).per_device == total // taken


def test_the_devices_of_all_nodes_share_the_batch():
    assert most_devices(28, 8, nodes=2) == 7
    assert most_devices(28, 8, nodes=3) is None
