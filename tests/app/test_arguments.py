import pytest

from memvos.app.arguments import split, switch, whole_number


def test_a_commands_own_arguments_are_told_from_overrides():
    own, rest = split(["rounds=3", "scale=small", "+a.b=c=d", "-m", "rounds=4"], ("rounds", "size"))
    assert own == {"rounds": "4"}  # the later counts
    assert rest == ["scale=small", "+a.b=c=d", "-m"]


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "²", "many"])
def test_a_number_is_whole_and_above_0(text):
    assert whole_number("jobs", "12") == 12
    with pytest.raises(ValueError, match=f"expected jobs=N with N of at least 1, got jobs={text}"):
        whole_number("jobs", text)


def test_a_switch_is_true_or_false_and_off_where_it_is_not_named():
    assert [switch(options, "keep") for options in ({"keep": "true"}, {"keep": "False"}, {})] == [True, False, False]


@pytest.mark.parametrize("text", ["", "yes", "1", "tru"])
def test_what_is_neither_true_nor_false_is_refused(text):
    with pytest.raises(ValueError, match=f"keep=true or keep=false, got '{text}'"):
        switch({"keep": text}, "keep")
