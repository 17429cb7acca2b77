"""Every shipped table and figure: its specification loads, and every evaluation composes."""

import pytest

from memvos.app import composition
from memvos.app.reproduce import tables
from memvos.paths import experiments_dir
from memvos.report import load_spec


@pytest.mark.parametrize("name", tables())
def test_every_evaluation_of_a_table_composes(name):
    spec = load_spec(experiments_dir() / f"{name}.yaml").on("synthetic")
    assert spec.name == name
    for evaluation in spec.evaluations():
        composition.compose("evaluate", [*evaluation.overrides, "scale=mini"])


@pytest.mark.parametrize("name", tables())
def test_every_stage_of_a_table_composes(name):
    spec = load_spec(experiments_dir() / f"{name}.yaml")
    for row in spec.rows:
        for stage in row.stages:
            composition.compose("train", [*row.overrides, *spec.stage(stage).overrides, "scale=mini"])
