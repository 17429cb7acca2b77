import pytest

from memvos.app import bench_modules
from memvos.app.options import load_table
from memvos.errors import InputError
from memvos.report import timing

SMALL = ("scale=smoke", "threads=1", "experiment=dmn_aoa")


@pytest.fixture(scope="module")
def table4():
    return load_table("dmn_aoa_table4")


def test_every_module_is_timed_and_the_shares_add_up(table4):
    measured = bench_modules.measure(bench_modules.configured(table4), SMALL, 1, size=(64, 128))
    shares = {line["module"]: line["share"] for line in measured.lines}
    assert set(shares) == {*bench_modules.MODULES, bench_modules.LAYER} - {"OPG"}
    assert sum(share for module, share in shares.items() if module != bench_modules.LAYER) == pytest.approx(1)
    matcher = next(line for line in timing.to_text(measured).splitlines() if line.startswith("aligned matcher"))
    assert matcher.split()[-1] == "0.044"


def test_the_presets_are_the_papers_and_the_fast_one(table4):
    assert [row.overrides for row in table4.rows] == [("model=dmn_aoa",), ("model=dmn_aoa_fast",)]
    assert table4.row("paper").printed == {"BFE": 0.009, "OPG": 0.02, "OTG": 0.015, "AM": 0.044, "MRN": 0.066}


def test_other_networks_are_refused(table4):
    with pytest.raises(InputError, match="bench modules times DMN-AOA, got a QDMN"):
        bench_modules.measure(bench_modules.configured(table4), ["scale=smoke"], 1, size=(64, 128))
