"""`memvos dashboard`: what is saved, and what is said where nothing can be."""

from types import SimpleNamespace

import pytest
import wandb
from wandb_workspaces.workspaces import Workspace


@pytest.fixture
def saved(monkeypatch):
    """Dashboards that W&B, which is stood in for, was given."""
    taken = []

    def save(self):
        taken.append(self)
        return SimpleNamespace(url=f"https://wandb.ai/{self.entity}/{self.project}?nw=abc")

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(Workspace, "save", save)
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(default_entity="me"))
    return taken


def test_the_dashboard_of_a_table_is_saved_and_its_place_printed(memvos, saved):
    code, out, _ = memvos("dashboard", "qdmn_table5", "project=vos")
    assert (code, out) == (0, "https://wandb.ai/me/vos?nw=abc\n")
    (board,) = saved
    assert board.name == "QDMN Table 5: ablation of QAM and PEM"


def test_settings_of_a_sweep_and_a_team_are_named(memvos, saved):
    assert memvos("dashboard", "entity=team", "over=memory.sigma,memory.beta", "split=val")[0] == 0
    (board,) = saved
    assert (board.entity, board.project) == ("team", "memvos")
    assert [one.name for one in board.sections if one.name.startswith("Over")] == [
        "Over memory.sigma",
        "Over memory.beta",
    ]
    assert board.sections[0].panels[0].metrics == ["val/J&F"]


def test_without_a_key_nothing_is_asked_of_the_server(memvos, monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    code, _, err = memvos("dashboard")
    assert code == 2
    assert "no key is set; set $WANDB_API_KEY or run `wandb login`" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["qdmn_table5", "qdmn_table4"],
            "expected at most one table, and project=, entity=, over=, split=; got qdmn_table5",
        ),
        (["metric=J"], "got metric=J"),
        (["qdmn_table99"], "no table or figure 'qdmn_table99'"),
    ],
)
def test_other_arguments_are_refused(memvos, saved, arguments, message):
    code, _, err = memvos("dashboard", *arguments)
    assert (code, saved) == (2, [])
    assert message in err


def test_what_the_server_refuses_is_one_line(memvos, saved, monkeypatch):
    def refuse():
        raise wandb.errors.CommError("401: no such key")

    monkeypatch.setattr(wandb, "Api", refuse)
    code, _, err = memvos("dashboard")
    assert (code, err) == (1, "memvos dashboard: W&B: 401: no such key\n")


def test_help_names_the_tables(memvos):
    code, out, _ = memvos("dashboard", "--help")
    assert code == 0
    assert "over=memory.sigma" in out
    assert "qdmn_table5" in out
