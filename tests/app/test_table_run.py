"""What a table's command line means for its jobs; who may write where."""

from types import SimpleNamespace

import pytest

from memvos.app import table_run
from memvos.app.faults import UnknownKey
from memvos.app.table_run import DataLook, cores, dealt_out, only_one, slots, split
from memvos.errors import InputError


def test_overrides_go_to_the_commands_that_know_them():
    given = ["data=davis2016", "data.root=/x", "steps.main=3", "gate=oracle"]
    assert split(given) == ({"train": given[:3], "evaluate": given}, {})


def test_several_overrides_may_be_for_evaluations_alone():
    given = ["gate=oracle", "steps.main=3", "short_side=240", "memory.sigma=0.5", "memory.beta=10"]
    assert split(given) == ({"train": ["steps.main=3"], "evaluate": given}, {})


def test_what_may_be_of_some_rows_network_is_left_to_the_plan():
    given = ["model/proposals=mask_rcnn", "model.proposals.checkpoint=file", "seed=1", "gate=oracle"]
    found, doubtful = split(given)
    assert found == {"train": ["seed=1"], "evaluate": given[2:]}
    assert sorted(doubtful) == ["model.proposals.checkpoint", "model/proposals"]
    assert "has no part 'model/proposals'" in str(doubtful["model/proposals"])


def test_trainings_may_have_data_of_their_own():
    given = ["data=davis2016", "data.root=/x", "scale=paper"]
    found, _ = split(given, ["data=paper", "data.youtube_root=/y"])
    assert found == {"train": ["scale=paper", "data=paper", "data.youtube_root=/y"], "evaluate": given}


def test_an_override_that_nobody_knows_is_told():
    with pytest.raises(UnknownKey, match=r"unknown config key 'data\.rot'; did you mean 'data\.root'"):
        split(["data=davis2016", "data.rot=/x"])


def test_jobs_of_several_processes_share_the_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [cores(1), cores(2), cores(16), cores("auto")] == [8, 4, 1, 1]


def test_devices_are_dealt_out_in_groups():
    assert dealt_out(["0", "1", "2", "5"], 1) == ["0", "1", "2", "5"]
    assert dealt_out(["0", "1", "2", "5"], 2) == ["0,1", "2,5"]
    assert dealt_out(["0", "1", "2", "5"], 3) == ["0,1,2"]
    assert [dealt_out(["0", "1"], per_job) for per_job in (3, "auto", -1)] == [[], [], []]


@pytest.mark.parametrize(
    ("devices", "per_job", "accelerator", "found"),
    [
        (["0", "1", "2", "3"], 1, "auto", (["0", "1", "2", "3"], 4)),
        (["0", "1", "2", "3"], 2, "gpu", (["0,1", "2,3"], 2)),
        (["0"], 2, "auto", ([], 1)),
        (["0", "1"], "auto", "auto", ([], 1)),
        (["0", "1"], 2, "cpu", ([], 4)),
        ([], 2, "auto", ([], 4)),
        ([], 1, "auto", ([], 8)),
    ],
)
def test_as_many_jobs_run_at_once_as_have_devices_of_their_own(monkeypatch, devices, per_job, accelerator, found):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr("memvos.app.processes.devices", lambda: devices)
    assert slots({"devices": per_job, "accelerator": accelerator}) == found


@pytest.mark.parametrize(("check", "looks"), [(True, ["faulty"]), (False, [])])
def test_data_is_looked_over_unless_that_is_switched_off(monkeypatch, check, looks):
    seen = []
    tree = SimpleNamespace(fingerprint=lambda: "mark", name="faulty")
    monkeypatch.setattr(table_run, "instantiate", lambda config: tree)
    monkeypatch.setattr(table_run, "raise_data_faults", lambda trees: seen.extend(one.name for one in trees))
    assert DataLook(check)({"_target_": "tree"}) == "mark"
    assert seen == looks


def test_another_run_in_the_same_folder_is_refused_until_the_first_ends(tmp_path):
    with only_one(tmp_path), pytest.raises(InputError, match="is in use by another run"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_a_source_of_proposals_of_ones_own_may_have_a_checkpoint(monkeypatch):
    source = SimpleNamespace(checkpoint="detector.pth")  # any function, with whatever it needs
    monkeypatch.setattr(table_run, "instantiate", lambda model: SimpleNamespace(proposals=source))
    table_run._build_once([{"_target_": "mine.Network"}])


def test_seeds_are_those_of_folders_whose_name_ends_in_a_number(tmp_path):
    for name in ("seed1", "seed²", "seeds", "other"):
        (tmp_path / "row" / name).mkdir(parents=True)
    assert table_run._seeds_in(tmp_path) == {1}
