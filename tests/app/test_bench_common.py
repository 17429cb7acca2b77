import pytest

from memvos.app.bench_common import alternate, frame_size
from memvos.errors import InputError


def test_works_take_turns_and_the_first_round_does_not_count():
    calls, now = [], [0.0]
    seconds = {"a": iter([9, 1, 5, 2]), "b": iter([9, 3, 3, 4])}

    def work(name):
        def run():
            calls.append(name)
            now[0] += next(seconds[name])

        return run

    result = alternate({"a": [work("a")], "b": [work("b")]}, 3, clock=lambda: now[0])
    assert calls == ["a", "b"] * 4
    assert result == {"a": [2], "b": [3]}


def test_a_size_is_two_numbers_and_a_superscript_is_none():
    assert frame_size("240x432") == (240, 432)
    for text in ("²x²", "0x4", "4", "4x4x4", "-1x2", "x"):
        with pytest.raises(InputError, match=f"expected size=HEIGHTxWIDTH in pixels, .*, got size={text}"):
            frame_size(text)
