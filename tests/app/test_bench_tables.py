import csv
from dataclasses import replace

import pytest

from memvos.app import bench_modules, bench_tables
from memvos.app.bench_tables import reproduce
from memvos.app.options import load_table, tables
from memvos.errors import InputError
from memvos.report.sections import Section
from memvos.report.timing import Timing


@pytest.fixture(scope="module")
def speed():
    return load_table("qdmn_speed")


@pytest.fixture
def weather(speed, monkeypatch):
    """A table of a made-up benchmark, and what that was asked to measure."""
    asked = []

    def measure(spec, overrides, rounds, folder):
        asked.append(([row.id for row in spec.rows], list(overrides), rounds, folder))
        lines = [{"row": row.id, "degrees": 21} for row in spec.rows]
        cells = [[line["row"], "21"] for line in lines]
        return Timing(spec, (("sky", "blue"),), Section(spec.title, "Warm.", ["", "degrees"], cells), lines)

    monkeypatch.setitem(bench_tables.BENCHES, "weather", measure)
    return replace(speed, bench="weather"), asked


def test_a_table_with_an_unknown_benchmark_is_refused(speed, tmp_path):
    with pytest.raises(InputError, match="qdmn_speed has bench: weather; expected one of modules, speed"):
        reproduce(replace(speed, bench="weather"), (), (), tmp_path)


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


def test_rounds_of_a_table_are_a_positive_number(memvos):
    code, _, error = memvos("reproduce", "dmn_aoa_table4", "rounds=0")
    assert code == 2
    assert "expected rounds=N with N of at least 1, got rounds=0" in error


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["seeds=2"], "seeds"),
        (["jobs=4"], "jobs"),
        (["jobs=4", "seeds=2", "train_data=paper"], "train_data, seeds, jobs"),
    ],
)
def test_what_only_jobs_have_is_refused(memvos, given, told):
    code, _, error = memvos("reproduce", "dmn_aoa_table4", *given)
    assert code == 2
    assert f"dmn_aoa_table4 measures time and runs no jobs; leave {told} out" in error


def test_bad_rounds_are_told_before_a_folder_is_made(weather, tmp_path):
    with pytest.raises(InputError, match="expected rounds=N with N of at least 1, got rounds=many"):
        reproduce(weather[0], ["qam"], ["rounds=many"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_chosen_rows_and_the_base_are_measured_printed_and_written(weather, tmp_path, capsys):
    spec, asked = weather
    assert reproduce(spec, ["pem"], ["scale=mini", "rounds=3", "size=32x48"], tmp_path / "out") == 0
    assert asked == [(["baseline", "pem"], ["scale=mini", "size=32x48"], 3, tmp_path / "out")]
    output = capsys.readouterr()
    files = [tmp_path / "out" / f"table.{suffix}" for suffix in ("csv", "md", "html")]
    assert output.err == f"written: {', '.join(map(str, files))}\n"
    assert all(text in output.out for text in (spec.title, "sky blue", "baseline", "pem"))
    assert files[0].read_text() == "row,degrees\nbaseline,21\npem,21\n"


def test_a_table_is_measured_in_seven_rounds_and_written_below_runs_unless_told_otherwise(weather, home):
    spec, asked = weather
    reproduce(spec, [row.id for row in spec.rows], [], None)
    rows, _, rounds, folder = asked[0]
    assert (rows, rounds, str(folder)) == (["baseline", "qam", "pem", "both"], 7, "runs/qdmn_speed")
    assert (home / "runs/qdmn_speed/table.html").is_file()


def test_every_table_of_times_names_a_benchmark_that_there_is():
    benches = {load_table(name).bench for name in tables()}
    assert benches - {None} == set(bench_tables.BENCHES)
