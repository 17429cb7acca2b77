from memvos.report.overrides import lend, lent_to, merge


def test_of_two_values_of_one_key_the_later_stays():
    assert merge(("memory=qdmn", "a.b=1"), ("memory=all",), ("a.b=2",)) == ("memory=all", "a.b=2")


def test_weights_of_other_rows_are_named_once_each_and_filled_in():
    given = ("a={weights.qdmn}", "b=1", "c={weights.stm}/{weights.qdmn}")
    assert lent_to(given) == ("qdmn", "stm")
    assert lend(given, {"qdmn": "x.ckpt", "stm": "y"}) == ["a=x.ckpt", "b=1", "c=y/x.ckpt"]
