import csv

import pytest

from memvos.app import bench_modules
from memvos.app.options import spec_path
from memvos.errors import InputError
from memvos.report import timing
from memvos.report.spec_file import load_spec

SMALL = ("scale=smoke", "threads=1", "experiment=dmn_aoa")


@pytest.fixture(scope="module")
def table4():
    return load_spec(spec_path("dmn_aoa_table4"))


def test_every_module_is_timed_and_the_shares_add_up(table4):
    measured = bench_modules.measure(bench_modules.configured(table4), SMALL, 1, size=(64, 128))
    shares = {line["module"]: line["share"] for line in measured.lines}
    assert set(shares) == {*bench_modules.MODULES, bench_modules.LAYER} - {"OPG"}
    assert sum(share for module, share in shares.items() if module != bench_modules.LAYER) == pytest.approx(1)
    matcher = next(line for line in timing.to_text(measured).splitlines() if line.startswith("aligned matcher"))
    assert matcher.split()[-1] == "0.044"


def test_table_4_is_measured_preset_by_preset_and_written(memvos, home, monkeypatch):
    """As `make reproduce-table4 PAPER=dmn_aoa`, on a small frame and with small networks in the presets' place."""
    compare, settings_of = bench_modules.compare, bench_modules.bench.settings_of
    monkeypatch.setattr(bench_modules, "compare", lambda settings, rounds, size: compare(settings, rounds, (64, 128)))
    small = {"model=dmn_aoa": "model=dmn_aoa_smoke", "model=dmn_aoa_fast": "model=dmn_aoa_mini"}
    monkeypatch.setattr(
        bench_modules.bench, "settings_of", lambda given: settings_of([small.get(one, one) for one in given])
    )
    code, output, _ = memvos("reproduce", "dmn_aoa_table4", "scale=mini", "data=synthetic", "rounds=2")
    assert code == 0
    assert "paper × 4.89" in output  # .044 / .009
    with (home / "runs/dmn_aoa_table4/table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["row"] for line in lines} == {"paper", "fast"}
    printed = {line["module"]: line["paper_seconds"] for line in lines if line["row"] == "paper"}
    assert printed == {"BFE": "0.009", "OTG": "0.015", "AM": "0.044", "MRN": "0.066", "memory": "", "layer": ""}
    for name in ("table.md", "table.html"):
        assert "preset fast" in (home / "runs/dmn_aoa_table4" / name).read_text()


def test_the_presets_are_the_papers_and_the_fast_one(table4):
    assert [row.overrides for row in table4.rows] == [("model=dmn_aoa",), ("model=dmn_aoa_fast",)]
    assert table4.row("paper").printed == {"BFE": 0.009, "OPG": 0.02, "OTG": 0.015, "AM": 0.044, "MRN": 0.066}


def test_other_networks_are_refused(table4):
    with pytest.raises(InputError, match="bench modules times DMN-AOA, got a QDMN"):
        bench_modules.measure(bench_modules.configured(table4), ["scale=smoke"], 1, size=(64, 128))
