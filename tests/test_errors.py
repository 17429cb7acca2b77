import numpy as np
import pytest

from memvos.errors import InputError, check_number, check_switch, first_line


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1, {}),
        (np.int64(3), {}),
        (None, {"off": True}),
        (1.5, {"whole": False}),
        (1.5, {"whole": False, "above": True}),
    ],
)
def test_numbers_in_range_are_taken(value, kind):
    check_number("every", value, 1, **kind)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (0, {}, "expected every as a whole number from 1, got 0"),
        (1.5, {}, "a whole number from 1, got 1.5"),
        (True, {}, "a whole number from 1, got True"),
        ("2", {}, "a whole number from 1, got '2'"),
        (None, {}, "a whole number from 1, got None"),
        (0, {"off": True}, r"a whole number from 1, or null \(None\) to switch it off, got 0"),
        (1, {"whole": False, "above": True}, "a number above 1, got 1"),
        (float("nan"), {"whole": False}, "a number from 1, got nan"),
    ],
)
def test_others_are_refused_by_name(value, kind, message):
    with pytest.raises(InputError, match=message):
        check_number("every", value, 1, **kind)


def test_a_switch_is_true_or_false_and_nothing_else():
    check_switch("resume", False)
    with pytest.raises(InputError, match="expected resume=true or resume=false, got 'maybe'"):
        check_switch("resume", "maybe")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (RuntimeError("\n  shapes differ\nin layer 3"), "shapes differ"),
        (MemoryError(), "MemoryError"),
        (ValueError(" \n"), "ValueError"),
    ],
)
def test_an_exception_of_others_is_told_in_one_line_whatever_it_says(error, line):
    assert first_line(error) == line
