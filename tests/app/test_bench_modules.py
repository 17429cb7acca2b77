import pytest

from memvos.app import bench_modules, composition
from memvos.errors import InputError


def settings(*overrides: str) -> dict:
    composed = composition.compose("train", ["scale=smoke", "output_dir=out", "threads=1", *overrides])
    return composition.resolved(composed)


def test_every_module_is_timed_and_the_shares_add_up():
    lines = list(bench_modules.table(settings("experiment=dmn_aoa"), rounds=1, size=(64, 128)))
    names = [line[:32].strip() for line in lines[3:]]
    assert set(names) == {*bench_modules.PRINTED, "memory encoding", bench_modules.LAYER.strip(), "all"}
    shares = {name: float(line[42:50].rstrip("% ")) for name, line in zip(names, lines[3:-1], strict=False)}
    assert sum(share for name, share in shares.items() if name != bench_modules.LAYER.strip()) == pytest.approx(
        100, abs=0.5
    )
    assert "0.044" in next(line for line in lines if line.startswith("aligned matcher"))


def test_other_networks_are_refused():
    with pytest.raises(InputError, match="bench modules times DMN-AOA, got a QDMN"):
        list(bench_modules.table(settings(), rounds=1))
