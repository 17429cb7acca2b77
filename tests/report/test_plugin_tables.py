"""Tables 3 and 4 of QDMN: rows with bases of their own, names by scale, weights lent by another network."""

from pathlib import Path

import pytest

from memvos.errors import InputError
from memvos.report.overrides import lend, lent_to
from memvos.report.spec_file import load_spec
from memvos.report.table import build

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def table3():
    return load_spec(EXPERIMENTS / "qdmn_table3.yaml")


@pytest.fixture
def table4():
    return load_spec(EXPERIMENTS / "qdmn_table4.yaml")


def test_printed_numbers_of_table_3_are_the_papers(table3):
    assert {row.id: tuple(row.printed[name] for name in ("J", "F", "J&F")) for row in table3.rows} == {
        "stm": (78.8, 84.2, 81.5),
        "stm_qam": (81.0, 86.2, 83.6),
        "kmn": (79.7, 85.5, 82.6),
        "kmn_qam": (81.9, 87.4, 84.7),
        "stcn": (81.5, 87.7, 84.6),
        "stcn_qam": (82.5, 88.7, 85.6),
    }


def test_printed_numbers_of_table_4_are_the_papers(table4):
    printed = [row.printed["J&F"] for row in table4.rows]
    assert printed == [81.5, 82.5, 82.6, 83.4, 82.7, 83.5]


def test_every_row_with_qam_is_compared_with_its_own_network(table3, table4):
    for table in (table3, table4):
        pairs = {row.id: base.id for row in table.rows if (base := table.base_of(row))}
        assert all(base == row.split("_")[0] for row, base in pairs.items() if "_" in row)
    assert table3.base_of(table3.row("stm")) is None
    assert table3.base_of(table3.row("kmn")).id == "stm"


@pytest.mark.parametrize(("scale", "name"), [("mini", "stcn_small"), ("small", "stcn_medium"), ("paper", "stcn")])
def test_networks_are_named_by_the_scale(table3, scale, name):
    assert table3.at(scale).row("stcn").overrides == (f"model={name}",)


def test_a_size_of_its_own_comes_before_that_of_the_scale(table3):
    for scale in ("mini", "huge"):
        assert table3.at(scale, "_medium").row("stcn").overrides == ("model=stcn_medium",)


def test_a_scale_without_a_size_is_refused(table3):
    with pytest.raises(InputError, match="qdmn_table3 has no size for scale 'huge'; choose one of smoke, mini, small"):
        table3.at("huge")


def test_three_reads_are_one_training(table4):
    assert len({row.overrides for row in table4.rows}) == 1


def test_a_gated_row_names_the_network_that_lends_its_qam(table4):
    gated = next(e for e in table4.at("mini").evaluations() if e.name == "kmn_gated")
    assert gated.overrides[:2] == ("model=qam_borrowed", "model@model.network=kmn_small")
    assert lent_to(gated.overrides) == ("qdmn",)
    assert "model.source=here" in lend(gated.overrides, {"qdmn": "here"})


def test_lenders_are_trained_but_not_scored(table4):
    assert table4.row("qdmn").stages == ("pretrain", "main")
    assert "qdmn" not in {evaluation.row for evaluation in table4.evaluations()}


def test_gains_are_told_beside_the_printed_ones(table3, results, tmp_path):
    levels = {row.id: 0.5 for row in (*table3.rows, *table3.floors)} | {"stm_qam": 0.6, "stcn": 0.4, "stcn_qam": 0.3}
    made = build(table3, results(table3, tmp_path, levels, noise=0.01))
    text = dict(made.findings)["Do the paper's gains hold?"]
    assert text.startswith("1 of 3 beyond their interval; reversed beyond it: 1. STM + QAM +")
    assert "printed +2.1; KMN + QAM " in text
    assert text.endswith("printed +1.0.")
    to_base = {line.row: line.difference for line in made.lines if line.kind == "row"}
    assert to_base["stm"] is None
    assert to_base["stcn_qam"].mean == pytest.approx(-10, abs=1)  # to STCN, not to the table's base
