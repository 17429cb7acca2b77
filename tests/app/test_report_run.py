"""The report as a run of its own: what a logger that takes tables and pictures gets."""

import pytest

from memvos.app.report_run import log_report


@pytest.fixture
def files(tmp_path):
    """A report's files."""
    (tmp_path / "table.csv").write_text('row,J&F\nqam,56.8\nboth,"50,4"\n')
    for name in ("table.md", "table.html", "corrupted.png"):
        (tmp_path / name).touch()
    return [tmp_path / name for name in ("table.csv", "table.md", "table.html", "corrupted.png")]


def test_grids_and_figures_are_logged_in_the_group_of_the_table(wandb_runs, files, tmp_path):
    log_report(["scale=smoke", "logger=wandb"], "qdmn_table5", tmp_path, files)
    (run,) = wandb_runs
    assert (run.name, run.group, run.job_type, run.folder) == ("report", "qdmn_table5", "report", tmp_path)
    assert run.tables == {"report/grid/table": (["row", "J&F"], [["qam", "56.8"], ["both", "50,4"]])}
    assert run.images == {"report/figure/corrupted": [str(tmp_path / "corrupted.png")]}
    assert run.settings["scale"] == "smoke"
    assert run.ends == [0]


def test_the_group_is_the_name_of_the_table_whatever_it_looks_like(wandb_runs, files, tmp_path):
    log_report(["scale=smoke", "logger=wandb"], "50", tmp_path, files)
    assert wandb_runs[0].group == "50"


@pytest.mark.parametrize("logger", ["none", "csv"])
def test_without_a_logger_for_tables_nothing_is_written(wandb_runs, files, tmp_path, logger):
    log_report(["scale=smoke", f"logger={logger}"], "qdmn_table5", tmp_path, files)
    assert not wandb_runs
    assert sorted(tmp_path.iterdir()) == sorted(files)
