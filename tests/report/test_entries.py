import pytest

from memvos.report.entries import Curve, Sweep

BETA = Sweep("beta", "Limit", "frames", "both", "memory.beta={value}", (2, 20, None), (), own=(20,))
RATE = Sweep("corrupted", "Corruption", "percent", "both", "corruption_rate={ratio}", (0, 10, 50), ())
ROW, RELEASED = Curve("ours", "ours"), Curve("theirs", "theirs", "released")


@pytest.mark.parametrize(
    ("curve", "value", "name"),
    [(ROW, 2, "beta2"), (ROW, None, "betanone"), (RELEASED, 2, "released_beta2"), (ROW, 20, None)],
)
def test_a_point_is_named_by_curve_and_value_and_the_rows_own_is_the_row(curve, value, name):
    assert BETA.variant(curve, value) == name


def test_at_its_own_value_a_curve_is_its_variant():
    assert BETA.variant(RELEASED, 20) == "released"


def test_an_override_sets_the_value_its_hundredth_or_null():
    assert BETA.at(2) == "memory.beta=2"
    assert BETA.at(None) == "memory.beta=null"
    assert RATE.at(None) == "corruption_rate=null"
    assert BETA.setting == "memory.beta"
    assert [RATE.at(value) for value in (0, 10, 50)] == [f"corruption_rate={ratio}" for ratio in (0, 0.1, 0.5)]
