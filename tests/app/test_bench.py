import pytest


@pytest.mark.parametrize("arguments", [("loader", "stil=x"), ("loader", "videos="), ("metrics", "videos=x")])
def test_settings_that_a_benchmark_does_not_take_are_refused(memvos, arguments):
    code, _, errors = memvos("bench", *arguments)
    assert code == 2
    assert "expected nothing but rounds=" in errors
