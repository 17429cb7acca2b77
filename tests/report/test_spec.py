from pathlib import Path

import pytest

from memvos.paths import conf_dir, experiments_dir
from memvos.report.spec import Evaluation
from memvos.report.spec_file import load_spec


def test_printed_numbers_are_the_papers(spec):
    printed = {row.id: tuple(row.printed[name] for name in ("J", "F", "J&F")) for row in spec.rows}
    assert printed == {
        "baseline": (80.3, 85.5, 82.9),
        "qam": (81.7, 87.1, 84.3),
        "pem": (81.1, 86.1, 83.6),
        "both": (81.8, 87.3, 84.6),
    }


def test_rows_are_in_the_papers_order_and_every_trained_one_has_an_oracle_gate(spec):
    assert [row.id for row in spec.rows] == ["baseline", "qam", "pem", "both"]
    assert all(row.stages == ("pretrain", "main") and spec.oracle(row) for row in spec.rows)
    assert all(not floor.stages and floor.seeds == 1 for floor in spec.floors)


def test_rows_with_qam_have_a_variant_without_gate(spec):
    assert {row.id: spec.ungated(row) for row in spec.rows} == {
        "baseline": None,
        "qam": "no_gate",
        "pem": None,
        "both": "no_gate",
    }


@pytest.mark.parametrize("path", sorted(experiments_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_the_oracle_gate_is_compared_with_a_network_that_stores_every_frame(path):
    spec = load_spec(path)
    gated = [row.id for row in spec.rows if spec.oracle(row) and not spec.ungated(row)]
    assert all("memory=every_5" in spec.row(row).evaluate for row in gated), gated


NAMES = [f"qdmn_table{n}" for n in (1, 2, 3, 4, 5, 6)] + [f"dmn_aoa_table{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("name", NAMES)
def test_every_table_has_floors_and_an_oracle_gate_on_the_row_it_compares_with(name):
    spec = load_spec(experiments_dir() / f"{name}.yaml")
    assert [floor.id for floor in spec.floors] == ["copy_first", "matching"]
    assert spec.oracle(spec.row(spec.base)) == "oracle_gate"


@pytest.mark.parametrize("path", sorted(experiments_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_the_papers_data_sets_are_known_by_name(path):
    known = {config.stem for config in (conf_dir() / "data").glob("*.yaml")}
    assert set(load_spec(path).paper_data_on) <= known


def test_a_stage_starts_from_the_stage_before(spec):
    assert (spec.stage("pretrain").start, spec.stage("main").start) == (None, "pretrain")


def test_evaluations_are_rows_variants_floors_and_polluted_points(spec):
    names = [evaluation.name for evaluation in spec.evaluations()]
    assert names[:3] == ["baseline", "baseline__oracle_gate", "qam"]
    assert len(names) == len(set(names)) == 4 + 6 + 2 + 9  # three gates at three rates; rate 0 needs no run of its own
    assert {"both__corrupted30", "both__no_gate_corrupted30", "both__oracle_gate_corrupted30"} <= set(names)


def test_the_variants_overrides_win_over_the_rows(spec):
    found = {evaluation.name: evaluation.overrides for evaluation in spec.evaluations()}
    assert found["both__no_gate_corrupted10"] == ("model/prior=weak", "memory=every_5", "corruption_rate=0.1")
    assert found["baseline__oracle_gate"][-2:] == ("memory=qdmn", "gate=oracle")


def test_results_lie_by_row_variant_and_seed():
    assert Evaluation("both", "no_gate", ()).folder(Path("results"), 2) == Path("results/both__no_gate/seed2")
    assert Evaluation("both", None, ()).folder(Path("results"), 0) == Path("results/both/seed0")


ON = """
schema: 1
name: "on"
title: "t"
source: "s"
paper_data: "DAVIS 2017 val"
paper_data_on: {davis2016: "DAVIS 2016 val"}
metrics: ["J&F"]
main_metric: "J&F"
base: both
evaluate_on: {synthetic: [data.frames=96]}
stages: [{id: main, overrides: [stage=main]}]
rows:
  - {id: both, label: "QDMN", stages: [main], overrides: [a=1], evaluate: [memory=qdmn], printed: {"J&F": 84.6},
     printed_on: {davis2016: {"J&F": 91.0}}, variants: [oracle]}
variants: [{id: oracle, label: "oracle", evaluate: [gate=oracle]}]
references: [{id: stm, label: "STM", overrides: [], printed: {"J&F": 81.8}}]
"""


@pytest.fixture
def on(tmp_path):
    path = tmp_path / "on.yaml"
    path.write_text(ON)
    return load_spec(path)


def test_printed_numbers_are_those_of_the_data_set(on):
    assert [(on.on(data).row("both").printed["J&F"], on.on(data).paper_data) for data in ("davis2016", "other")] == [
        (91.0, "DAVIS 2016 val"),
        (84.6, "DAVIS 2017 val"),
    ]


def test_overrides_for_a_data_set_come_between_row_and_variant(on):
    found = {e.name: e.overrides for e in on.on("synthetic").evaluations()}
    assert found["both__oracle"] == ("a=1", "memory=qdmn", "data.frames=96", "gate=oracle")
    assert "data.frames=96" not in {e.name: e.overrides for e in on.on("davis2016").evaluations()}["both"]


def test_what_is_only_printed_is_not_evaluated(on):
    assert [e.name for e in on.evaluations()] == ["both", "both__oracle"]
