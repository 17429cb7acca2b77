"""What a table's command line means for its jobs."""

import pytest

from memvos.app.faults import UnknownKey
from memvos.app.reproduce import Options, spec_path
from memvos.app.table_run import cores, split
from memvos.errors import InputError


def test_overrides_go_to_the_commands_that_know_them():
    given = ["data=davis2016", "data.root=/x", "steps.main=3", "gate=oracle"]
    assert split(given) == {"train": given[:3], "evaluate": given}


def test_an_override_that_nobody_knows_is_told():
    with pytest.raises(UnknownKey, match=r"unknown config key 'data\.rot'; did you mean 'data\.root'"):
        split(["data=davis2016", "data.rot=/x"])


@pytest.mark.parametrize("given", [["--config-dir", "mine"], ["--config-dir=mine"]])
def test_a_folder_of_configurations_is_passed_on_to_the_jobs(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    options = Options.parse([*given, "qdmn_table5", "scale=smoke"])
    assert options.name == "qdmn_table5"
    assert options.overrides == [f"hydra.searchpath=['file://{tmp_path / 'mine'}']", "scale=smoke"]


def test_a_folder_of_configurations_that_is_not_there_is_told():
    with pytest.raises(InputError, match="--config-dir: no folder 'nowhere'; give one of the form of conf/"):
        Options.parse(["qdmn_table5", "--config-dir", "nowhere"])


def test_options_of_the_runner_and_overrides_of_the_jobs_are_kept_apart():
    options = Options.parse(
        ["qdmn_table5", "scale=mini", "seeds=3", "jobs=4", "rows=qam,both", "output=there", "seed=1"]
    )
    assert (options.name, options.seeds, options.jobs, options.rows) == ("qdmn_table5", 3, 4, ("qam", "both"))
    assert str(options.output) == "there"
    assert options.overrides == ["scale=mini", "seed=1"]


@pytest.mark.parametrize("line", [["a", "b"], [], ["scale=mini"], ["-m", "qdmn_table5"]])
def test_exactly_one_table_is_expected(line):
    with pytest.raises(InputError, match="expected one table"):
        Options.parse(line)


def test_a_specification_is_found_by_name_or_path(tmp_path):
    assert spec_path("qdmn_table5").name == "qdmn_table5.yaml"
    mine = tmp_path / "mine.yaml"
    mine.touch()
    assert spec_path(str(mine)) == mine


def test_jobs_of_several_processes_share_the_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [cores(1), cores(2), cores(16), cores("auto")] == [8, 4, 1, 1]
