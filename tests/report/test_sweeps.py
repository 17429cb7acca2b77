import csv
from dataclasses import replace
from pathlib import Path

import pytest

from memvos.report import figures, load_spec
from memvos.report.render import write
from memvos.report.sections import swept
from memvos.report.table import build

SIGMA = """
schema: 1
name: sigma
title: "Threshold"
source: "the paper"
paper_data: "DAVIS"
metrics: ["J&F"]
main_metric: "J&F"
base: both
stages: [{id: main, overrides: [stage=main]}]
rows: [{id: both, label: "QDMN", stages: [main], overrides: [], evaluate: [memory=qdmn], variants: [released]}]
variants: [{id: released, label: "released", evaluate: [memory=qdmn_released_davis]}]
sweeps:
  - id: beta
    title: "Memory limit"
    axis: "limit, frames"
    row: both
    override: "memory.beta={value}"
    values: [2, 20, null]
    own: [20]
    curves: [{id: ours, label: "ours"}, {id: theirs, label: "theirs", variant: released}]
    against: {value: null}
    also: [frames_mean]
"""


@pytest.fixture
def sigma(tmp_path) -> Path:
    path = tmp_path / "sigma.yaml"
    path.write_text(SIGMA)
    return path


@pytest.fixture
def table(sigma, tmp_path, result):
    scores = {"both__beta2": 0.4, "both": 0.5, "both__betanone": 0.6, "both__released_betanone": 0.3}
    for name, score in scores.items():
        result(tmp_path / "results" / name, "both", 0, {(clip, "1"): score for clip in "abcdef"})
    return build(sigma, tmp_path / "results")


def test_only_values_that_are_not_the_rows_own_are_evaluated_again(sigma):
    found = {e.name: e.overrides for e in load_spec(sigma).evaluations()}
    assert list(found) == [
        "both",
        "both__released",
        "both__beta2",
        "both__betanone",
        "both__released_beta2",
        "both__released_betanone",
    ]
    assert found["both__betanone"] == ("memory=qdmn", "memory.beta=null")
    assert found["both__released_beta2"] == ("memory=qdmn_released_davis", "memory.beta=2")


def test_points_are_compared_with_the_value_they_are_against(table):
    points = {point.value: point for point in table.points("beta", "ours")}
    assert {value: point.interval.mean for value, point in points.items()} == pytest.approx({2: 40, 20: 50, None: 60})
    assert points[2].gain.mean == pytest.approx(-20)
    assert points[None].gain is None


def test_points_carry_the_measures_asked_for(table):
    assert table.points("beta", "ours")[0].measures == {"frames_mean": 4.0}
    assert table.points("beta", "theirs")[0].measures == {}


def test_a_measure_that_no_result_has_is_not_shown(table):
    sweep = table.spec.sweeps[0]
    assert [row[0] for row in swept(table, sweep).cells] == [
        "ours",
        "ours, difference to none",
        "ours, frames in memory",
        "theirs",
        "theirs, frames in memory",
    ]
    bare = replace(table, swept=tuple(replace(point, measures={}) for point in table.swept))
    assert [row[0] for row in swept(bare, sweep).cells] == ["ours", "ours, difference to none", "theirs"]


def test_the_finding_names_best_and_worst_and_every_difference(table):
    text = dict(table.findings)["Memory limit (ours):"]
    assert text.startswith("J&F is best at none (60.0) and worst at 2 (40.0). Against none: 2: loses, -20.0 points")
    assert "Memory limit (theirs):" not in dict(table.findings)  # one point is no curve


def test_the_numbers_of_the_figure_are_written(table, tmp_path):
    write(table, tmp_path / "out")
    with (tmp_path / "out/beta.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["curve"], line["value"]) for line in lines][:3] == [("ours", "2"), ("ours", "20"), ("ours", "none")]
    assert (float(lines[0]["J&F"]), float(lines[0]["difference"]), lines[0]["frames_mean"]) == (40, -20, "4.0")
    assert lines[2]["difference"] == ""
    assert (tmp_path / "out/beta.png").is_file()


def test_values_without_a_limit_stand_at_their_place_in_the_list(table):
    score, frames = figures.swept(table, table.spec.sweeps[0]).axes
    curves = {line.get_label(): list(line.get_xdata()) for line in score.lines if line.get_label()[0] != "_"}
    assert curves["ours"] == pytest.approx([-0.01, 0.99, 1.99])
    assert curves["theirs"] == pytest.approx([2.01])
    assert [text.get_text() for text in frames.get_xticklabels()] == ["2", "20", "none"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("variant: released}", "variant: other}", "sweep 'beta', curve 'theirs': row 'both' has no variant 'other'"),
        ("{value: null}", "{value: 7}", r"expected against {curve: ID} or {value: V} of its own, got {value: 7}"),
        ("{value: null}", "{curve: mine}", r"of its own, got {curve: mine}"),
        ("axis:", "axes:", "sweeps: unknown key 'axes'"),
        ("[frames_mean]", "[frames]", "sweep 'beta': unknown measure 'frames'; known are stored_fraction"),
    ],
)
def test_faults_of_a_sweep_are_named(sigma, old, new, message):
    sigma.write_text(SIGMA.replace(old, new))
    with pytest.raises(ValueError, match=message):
        load_spec(sigma)
