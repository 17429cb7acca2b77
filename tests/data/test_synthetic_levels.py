"""The difficulties of the embedded benchmark, and what a level has to be."""

from dataclasses import fields
from itertools import pairwise

import pytest

from memvos.data.synthetic_levels import LEVELS, Level, level
from memvos.errors import InputError

CHANCES = ("objects", "lookalikes", "occluders")
"""Probabilities of drawing so many."""
SHARES = ("other_side", "twins", "exits", "shake")
RANGES = ("radius", "travel", "period", "deformation", "growth", "turn", "pan", "shutter")
HARDER = ("travel", "deformation", "growth", "turn", "pan")
MORE = ("spin", "other_side", "tint", "twins", "meetings", "exits", "zoom", "shake", "tremble", "dimming")


def test_a_level_is_found_by_its_name():
    assert list(LEVELS) == ["easy", "normal", "hard"]  # its place is part of the seed of every clip
    assert level("normal") is LEVELS["normal"]


def test_an_unknown_level_is_named_with_the_choices():
    with pytest.raises(InputError, match=r"got difficulty='mild'; expected one of easy, normal, hard; correct data\.d"):
        level("mild")


@pytest.mark.parametrize("name", LEVELS)
def test_chances_add_up_to_one_and_shares_lie_between_none_and_all(name):
    for key in CHANCES:
        assert sum(getattr(LEVELS[name], key)) == pytest.approx(1, abs=1e-12)
        assert min(getattr(LEVELS[name], key)) > 0
    assert all(0 <= getattr(LEVELS[name], key) <= 1 for key in SHARES)
    assert len(LEVELS[name].objects) == 4


@pytest.mark.parametrize("name", LEVELS)
def test_ranges_go_from_the_least_to_the_most(name):
    assert all(0 <= least < most for least, most in (getattr(LEVELS[name], key) for key in RANGES))
    assert LEVELS[name].shutter[1] < 1


def test_every_harder_level_asks_for_more():
    for easier, harder in pairwise(LEVELS.values()):
        assert all(getattr(easier, key)[1] < getattr(harder, key)[1] for key in HARDER)
        assert all(getattr(easier, key) < getattr(harder, key) for key in MORE)
        assert easier.radius > harder.radius  # objects are smaller
        assert all(mean(getattr(easier, key)) < mean(getattr(harder, key)) for key in CHANCES)


def mean(chances: tuple[float, ...]) -> float:
    return sum(number * chance for number, chance in enumerate(chances))


def test_no_number_of_a_level_is_left_unlooked_at():
    assert {*CHANCES, *SHARES, *RANGES, *MORE, "contrast"} == {field.name for field in fields(Level)}
    assert [known.contrast for known in LEVELS.values()] == [2, 1, 1]  # only easy avoids camouflage
