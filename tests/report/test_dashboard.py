"""The W&B dashboard: which panels, over which keys, of which runs."""

import json

import pytest

from memvos.app.evaluate import metrics_of
from memvos.errors import InputError
from memvos.paths import experiments_dir
from memvos.report import load_spec
from memvos.report.dashboard import BESIDE, SPEED, dashboard


def spec(name):
    return load_spec(experiments_dir() / f"{name}.yaml")


def view(*arguments, **named):
    """What is sent to W&B, as plain values."""
    return dashboard("me", "memvos", *arguments, **named)._to_model().spec.model_dump(by_alias=True)["section"]


def panels(sent, section):
    (found,) = (one for one in sent["panelBankConfig"]["sections"] if one["name"] == section)
    return [panel["config"] for panel in found["panels"]]


def test_a_table_shows_its_own_runs_averaged_over_seeds():
    (runs,) = view(spec("qdmn_table5"))["runSets"]
    (chosen,) = runs["filters"]["filters"]
    assert (chosen["key"], chosen["value"]) == ({"section": "run", "name": "group"}, "qdmn_table5")
    assert runs["grouping"] == [{"section": "config", "name": "run_name.value"}]


def test_without_a_table_every_run_of_the_project_is_shown_by_itself():
    (runs,) = view()["runSets"]
    assert (runs["filters"]["filters"], runs["grouping"]) == ([], [])


def test_the_scores_are_the_metrics_of_the_table():
    of = [panel["metrics"] for panel in panels(view(spec("qdmn_table2"), split="val"), "Scores")]
    assert of == [[f"val/{name}"] for name in spec("qdmn_table2").metrics]


def test_a_sweep_of_the_table_is_drawn_over_its_setting():
    drawn = [(panel["xAxis"], panel["yAxis"]) for panel in panels(view(spec("qdmn_figure6")), "Memory threshold σ")]
    assert drawn == [
        ("config:memory.value.sigma", f"summary:test/{name}")
        for name in ("J&F", "quality/stored_fraction", "quality/gated_fraction")
    ]


def test_the_score_is_drawn_over_settings_that_are_named():
    (panel,) = panels(view(over=["corruption_rate"]), "Over corruption_rate")
    assert (panel["xAxis"], panel["yAxis"]) == ("config:corruption_rate.value", "summary:test/J&F")


def test_what_stands_beside_the_scores_is_what_evaluations_log():
    wanted = {f"test/{name}" for name in (SPEED, *(name for names in BESIDE.values() for name in names))}
    path = experiments_dir() / "results" / "qdmn_table5" / "synthetic-mini" / "both" / "seed0" / "result.json"
    if not path.is_file():
        pytest.skip("committed results are not part of a wheel")
    assert wanted <= set(metrics_of(json.loads(path.read_text())))


def test_a_table_that_is_timed_has_no_runs_to_show():
    with pytest.raises(InputError, match="qdmn_speed is timed by `memvos bench speed`, which logs no runs"):
        dashboard("me", "memvos", spec("qdmn_speed"))
