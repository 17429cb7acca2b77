"""The shipped specifications of DMN-AOA say what the paper printed."""

from pathlib import Path

import pytest

from memvos.report.render import to_markdown
from memvos.report.spec_file import load_spec
from memvos.report.table import build

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def table3():
    return load_spec(EXPERIMENTS / "dmn_aoa_table3.yaml")


def test_table_3_has_all_rows_with_the_papers_numbers(table3):
    printed = {row.id: tuple(row.printed[name] for name in ("J", "F", "J&F")) for row in table3.rows}
    assert printed == {
        "f0": (78.6, 84.0, 81.3),
        "a1": (75.2, 80.3, 77.8),
        "a2": (77.9, 83.1, 80.5),
        "a3": (76.4, 81.4, 78.9),
        "a4": (76.8, 82.0, 79.4),
        "a5": (67.5, 72.5, 70.0),
        "a6": (67.1, 71.2, 69.2),
        "b1": (77.3, 82.5, 79.9),
        "b2": (77.8, 82.6, 80.2),
        "b3": (77.7, 83.0, 80.4),
        "b4": (79.2, 84.3, 81.8),
        "c1": (70.3, 74.7, 72.5),
        "c2": (65.8, 70.0, 67.9),
        "d1": (76.3, 81.7, 79.0),
        "d2": (77.5, 82.7, 80.1),
    }


def test_the_orderings_of_table_3_are_as_printed_and_name_every_row(table3):
    printed = {row.id: row.printed["J&F"] for row in table3.rows}
    assert all(printed[better] > printed[worse] for better, worse in table3.orderings)
    below = {worse for better, worse in table3.orderings if better == "f0"}
    assert below == {"a1", "a2", "a3", "a4", "a5", "a6", "b3", "c1", "c2", "d1", "d2"}
    assert [pair for pair in table3.orderings if pair[0] != "f0"] == [("b4", "f0"), ("b3", "b1"), ("b3", "b2")]


def test_table_3_says_which_of_its_orderings_hold(table3, tmp_path, result):
    for row, level in {"f0": 0.6, "a1": 0.5, "b4": 0.55}.items():
        result(tmp_path / row, row, 0, {(f"clip{c}", "1"): level for c in range(6)})
    found = dict(build(table3, tmp_path).findings)
    assert found["Which of the paper's orderings hold?"] == (
        "Measured: 2. Holds: 1 (F0 full > A1 base). Contradicted: 1 (B4 all past frames > F0 full). Undecided: 0."
    )


def test_rows_that_differ_in_memory_or_proposals_only_share_the_training_of_the_full_model(table3):
    full = table3.row("f0")
    for row in ("b1", "b2", "b3", "b4", "d1", "d2"):
        assert table3.row(row).overrides == full.overrides
        assert table3.row(row).stages[:4] == full.stages


def test_every_row_but_the_one_without_a_matcher_has_a_source_of_proposals(table3):
    without = [row.id for row in table3.rows if "model/proposals=detector" not in row.overrides]
    assert without == ["a5"]


def test_table_2_has_the_papers_numbers():
    table = load_spec(EXPERIMENTS / "dmn_aoa_table2.yaml")
    columns = ("J_seen", "J_unseen", "F_seen", "F_unseen", "G")
    assert tuple(table.row("r50").printed[name] for name in columns) == (82.5, 76.2, 86.9, 84.2, 82.5)
    printed = {row.id: row.printed["G"] for row in table.references}
    assert list(printed.values()) == [58.0, 63.6, 66.9, 67.8, 72.1, 73.2, 73.2, 79.4, 79.6, 80.2, 81.4, 81.4, 82.7]


def test_table_1_prints_what_is_known_of_each_data_set():
    table = load_spec(EXPERIMENTS / "dmn_aoa_table1.yaml")
    assert len(table.references) == 16
    test_dev = table.on("davis2017_testdev")
    assert test_dev.row("r50").printed == {}
    assert {row.id: row.printed["J&F"] for row in test_dev.references if row.printed} == {
        "feelvos": 57.8,
        "tvos": 63.1,
        "tan_dttm": 65.4,
        "cfbi": 74.8,
        "siam_r_cnn": 62.1,
        "stm_davis": 62.1,
        "stm": 72.2,
        "kmn": 77.2,
        "r101_youtube": 78.3,
    }


def test_qam_on_the_full_model_is_compared_with_the_full_model_of_table_3(table3):
    table = load_spec(EXPERIMENTS / "dmn_aoa_qam.yaml")
    assert (table.row("f0").overrides, table.row("f0").stages) == (table3.row("f0").overrides, table3.row("f0").stages)
    assert table.base_of(table.row("f0_qam")).id == "f0"
    assert all(table.stage(id) == table3.stage(id) for id in table.row("f0").stages)


def test_the_report_tells_what_the_proposals_of_a_row_cover(table3, tmp_path, result):
    result(tmp_path / "f0", "f0", 0, {("a", "1"): 0.5}, proposals={"recall@0.5": 0.875, "recall@0.7": 0.5})
    result(tmp_path / "a5", "a5", 0, {("a", "1"): 0.4}, proposals=None)
    report = to_markdown(build(table3, tmp_path), {})
    section = report[report.index("## Recall of the proposals") :].split("\n\n## ")[0]
    assert section.splitlines()[-1].startswith("| F0 full | 87.5 | 50.0 |")
    assert "w/o matcher" not in section
