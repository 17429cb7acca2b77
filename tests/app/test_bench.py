"""`memvos bench`: precisions take turns, the median counts."""

from memvos.app.bench import alternate


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


def test_the_table_has_a_line_per_precision(memvos):
    code, output, _ = memvos("bench", "scale=smoke", "rounds=1")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()[2:]] == ["precision", "float32", "bf16"]
    assert all(float(number) > 0 for line in output.splitlines()[3:] for number in line.split()[1:])
