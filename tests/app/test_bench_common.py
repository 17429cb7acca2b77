from memvos.app.bench_common import alternate


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
