"""`memvos bench`: precisions take turns, the median counts."""

import sys

import pytest

from memvos.app import bench_loader, bench_metrics
from memvos.app.bench_common import alternate
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


def test_the_table_has_a_line_per_precision(memvos):
    code, output, _ = memvos("bench", "scale=smoke", "rounds=1")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()[2:]] == ["precision", "float32", "bf16"]
    assert all(float(number) > 0 for line in output.splitlines()[3:] for number in line.split()[1:])


def test_scores_are_timed_against_the_published_toolkit():
    pytest.importorskip("vos_benchmark", reason="needs the package vos-benchmark")
    lines = list(bench_metrics.table(rounds=1))
    assert [line.split()[0] for line in lines[2:]] == ["1", "3", "7"]
    assert all(float(line.split()[-1]) < 1e-6 for line in lines[2:])


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "vos_benchmark.evaluator", None)
    with pytest.raises(InputError, match=r"the peer is not installed; .*pip install --no-deps vos-benchmark"):
        bench_metrics.peer()


def test_clips_are_timed_against_plain_ones(monkeypatch):
    monkeypatch.setattr(bench_loader, "CLIPS", 1)
    monkeypatch.setattr(bench_loader, "SIZE", 64)
    lines = list(bench_loader.table(rounds=1))
    assert [line.split()[0] for line in lines[2:]] == ["pseudo-video", "video"]


def test_clips_of_real_folders_are_timed(memvos, monkeypatch, davis_root, static_root):
    monkeypatch.setattr(bench_loader, "CLIPS", 1)
    monkeypatch.setattr(bench_loader, "SIZE", 32)
    code, output, _ = memvos(
        "bench", "loader", "rounds=1", f"videos={davis_root}", "resolution=480p", f"stills={static_root}"
    )
    assert code == 0
    assert all(float(number) > 0 for line in output.splitlines()[2:] for number in line.split()[1:])


@pytest.mark.parametrize("arguments", [("loader", "stil=x"), ("loader", "videos="), ("metrics", "videos=x")])
def test_settings_that_a_benchmark_does_not_take_are_refused(memvos, arguments):
    code, _, errors = memvos("bench", *arguments)
    assert code == 2
    assert "expected nothing but rounds=" in errors
