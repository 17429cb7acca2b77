import sys

import pytest

from memvos.app import bench_metrics
from memvos.errors import InputError


def test_scores_are_timed_against_the_published_toolkit():
    pytest.importorskip("vos_benchmark", reason="needs the package vos-benchmark")
    lines = list(bench_metrics.table(rounds=1))
    assert [line.split()[0] for line in lines[2:]] == ["1", "3", "7"]
    assert all(float(line.split()[-1]) < 1e-6 for line in lines[2:])


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "vos_benchmark.evaluator", None)
    with pytest.raises(InputError, match=r"the peer is not installed; .*pip install --no-deps vos-benchmark"):
        bench_metrics.peer()
