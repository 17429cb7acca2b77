from pathlib import Path

import pytest

from memvos.data.frame_rate import uneven, variant
from memvos.data.sequences import Video


def numbered(*names) -> Video:
    return Video("v", [Path(f"{name}.jpg") for name in names], {})


def test_frames_of_the_variants_own_step_are_no_fault():
    assert variant(numbered("00000", "00005", "00010"), 5) is None
    assert variant(numbered("00000", "00001", "00002"), 1) is None


@pytest.mark.parametrize(
    ("names", "step", "said"),
    [
        (("00000", "00001", "00002"), 5, "has every single frame (00000, 00001, …), expected every 5th; choose"),
        (("00000", "00005", "00010"), 1, "has every 5th frame (00000, 00005, …), expected every single; choose"),
        (("00001", "00003"), 3, "has every second frame (00001, 00003, …), expected every third; choose"),
    ],
)
def test_another_step_than_the_variants_is_told(names, step, said):
    assert variant(numbered(*names), step) == (
        f"video 'v' {said} variant=all or variant=6fps, or unpack the other variant"
    )


def test_a_gap_does_not_make_another_variant():
    assert variant(numbered("00000", "00005", "00010", "00020"), 5) is None  # steps of 5, 5 and 10


@pytest.mark.parametrize("names", [("00007",), ("a", "b", "c"), ("00000", "b", "00002"), ()])
def test_without_two_numbers_nothing_can_be_said(names):
    assert variant(numbered(*names), 5) is None
    assert uneven(numbered(*names)) is None


def test_no_step_is_demanded_of_most_data_sets():
    assert variant(numbered("00000", "00007"), None) is None


def test_the_number_at_the_end_of_a_name_counts():
    assert uneven(numbered("cam2_0008", "cam2_0009", "cam2_0010")) is None
    assert "goes from frame cam2_0009 to cam2_0011" in uneven(
        numbered("cam2_0008", "cam2_0009", "cam2_0011", "cam2_0012")
    )


def test_gaps_are_counted_and_the_first_is_named():
    # steps 5, 5, 10, 5, 15, 5: two of them are not the usual 5
    video = numbered("00000", "00005", "00010", "00020", "00025", "00040", "00045")
    assert uneven(video) == (
        "video 'v' goes from frame 00010 to 00020 (2 such gaps); expected steps of 5; copy the missing frames"
    )


def test_a_gap_is_at_least_one_and_a_half_steps():
    assert uneven(numbered("t0.000", "t0.033", "t0.067", "t0.100")) is None  # steps 33, 34, 33
    assert uneven(numbered("t0.900", "t0.933", "t0.967", "t1.000", "t1.033")) is None  # 33, 34, -967, 33
    assert uneven(numbered("00", "10", "20", "34")) is None
    assert "goes from frame 20 to 35 (1 such gaps)" in uneven(numbered("00", "10", "20", "35"))
    assert uneven(numbered("a1", "b1", "c1", "d9")) is None  # no steps to speak of


def test_even_steps_of_any_width_have_no_gaps():
    assert uneven(numbered("3", "6", "9", "12")) is None
    assert uneven(numbered("10", "99")) is None
