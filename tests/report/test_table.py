import json
from dataclasses import replace

import pytest

from memvos.report.content import REFERENCE
from memvos.report.entries import Row
from memvos.report.render import to_markdown, write
from memvos.report.table import build

LEVELS = {"baseline": 0.5, "qam": 0.52, "pem": 0.55, "both": 0.6, "copy_first": 0.25, "matching": 0.4}


def scores(value):
    return {(f"clip{c}", "1"): value for c in range(4)}


def test_lines_are_rows_in_the_papers_order_then_other_gates_then_floors(spec, tmp_path):
    table = build(spec, tmp_path)
    assert [line.label for line in table.of_kind("row")] == ["baseline", "QAM", "PEM", "QAM + PEM"]
    assert [line.kind for line in table.lines] == ["row"] * 4 + ["variant"] * 6 + ["floor"] * 2


def test_where_nothing_ran_there_are_only_the_printed_numbers(spec, tmp_path):
    table = build(spec, tmp_path)
    assert not any(line.ran for line in table.lines)
    assert table.line("both").printed["J&F"] == 84.6
    assert set(dict(table.header).values()) == {"not run"}
    assert all(comparison.interval is None for comparison in table.comparisons)


def test_a_cell_is_the_mean_over_seeds_with_its_deviation(spec, tmp_path, result):
    for seed, value in enumerate((0.5, 0.6)):
        result(tmp_path / "both", "both", seed, scores(value))
    line = build(spec, tmp_path).line("both")
    assert line.scores["J&F"].mean == pytest.approx(55)
    assert line.scores["J&F"].std == pytest.approx(10 / 2**0.5)
    assert line.scores["J"].mean == pytest.approx(53)
    assert line.scores["J&F_present"].mean == pytest.approx(45)
    assert line.seeds == (0, 1)
    assert line.miss("J&F") == pytest.approx(55 - 84.6)


def test_one_seed_has_no_deviation(spec, tmp_path, result):
    result(tmp_path / "both", "both", 0, scores(0.5))
    assert build(spec, tmp_path).line("both").scores["J"].std is None


def test_only_the_printed_row_carries_the_papers_numbers(spec, tmp_path, result):
    result(tmp_path / "both__oracle_gate", "both", 0, scores(0.5))
    line = build(spec, tmp_path).line("both", "oracle_gate")
    assert line.label == "QAM + PEM, oracle gate"
    assert line.printed == {}
    assert line.miss("J&F") is None


def test_differences_are_taken_to_the_base_row(spec, tmp_path, result):
    for row, value in (("baseline", 0.5), ("qam", 0.53)):
        result(tmp_path / row, row, 0, scores(value))
    table = build(spec, tmp_path)
    assert table.line("baseline").difference is None
    assert table.line("qam").difference.mean == pytest.approx(3)
    assert table.line("pem").difference is None


def test_gates_are_compared_on_one_network(spec, tmp_path, result):
    for name, value in (("qam", 0.55), ("qam__no_gate", 0.5), ("qam__oracle_gate", 0.58), ("pem", 0.4)):
        result(tmp_path / name, name.split("__")[0], 0, scores(value))
    result(tmp_path / "pem__oracle_gate", "pem", 0, scores(0.41))
    found = {
        c.label: c.interval and round(c.interval.mean, 6)
        for c in build(spec, tmp_path).comparisons
        if c.kind != "floor"
    }
    assert found["QAM, own gate"] == 5
    assert found["QAM, oracle gate"] == 8
    assert found["PEM, oracle gate"] == 1  # a row without QAM is its own ungated evaluation
    assert found["QAM"] is None


def test_the_header_names_other_data_that_was_trained_on(spec, tmp_path, result):
    weights = [{"path": "final.ckpt", "trained_on": name} for name in ("synthetic", "paper")]
    for seed, given in enumerate(weights):
        folder = result(tmp_path / "baseline", "baseline", seed, {("v0", "1"): 0.5})
        content = json.loads((folder / "result.json").read_text())
        content["provenance"]["weights"] = given
        (folder / "result.json").write_text(json.dumps(content))
        header = dict(build(spec, tmp_path).header)
        assert header.get("trained on") == (None if seed == 0 else "paper, synthetic")


def test_the_header_names_what_was_measured(spec, tmp_path, result):
    result(tmp_path / "pem", "pem", 1, scores(0.5))
    result(tmp_path / "qam", "qam", 0, scores(0.5))
    assert dict(build(spec, tmp_path).header) == {
        "scale": "mini",
        "data": "synthetic",
        "difficulty": "easy",
        "split": "test (4 sequences, 4 objects)",
        "seeds": "0, 1",
        "device": "x86_64",
        "precision": "bf16",
        "git commit": "a" * 40,
    }


def test_every_commit_is_named_and_changes_are(spec, tmp_path, result):
    folder = result(tmp_path / "pem", "pem", 0, scores(0.5))
    result(tmp_path / "qam", "qam", 0, scores(0.5))
    content = json.loads((folder / "result.json").read_text())
    content["provenance"]["git"] = f"{'c' * 40} + changes"
    (folder / "result.json").write_text(json.dumps(content))
    assert dict(build(spec, tmp_path).header)["git commit"] == f"{'a' * 40}, {'c' * 40} + changes"


def test_pollution_at_rate_zero_is_the_gates_own_evaluation(spec, tmp_path, result):
    for name, value in (
        ("both", 0.5),
        ("both__no_gate", 0.48),
        ("both__corrupted30", 0.45),
        ("both__no_gate_corrupted30", 0.4),
    ):
        result(tmp_path / name, "both", 0, scores(value))
    points = {(point.curve, point.value): point for point in build(spec, tmp_path).swept}
    assert points["qam", 0].interval.mean == pytest.approx(50)
    assert points["qam", 0].gain.mean == pytest.approx(2)
    assert points["qam", 30].gain.mean == pytest.approx(5)
    assert points["none", 30].gain is None
    assert points["oracle", 30].interval is None


def test_a_specification_may_be_given_by_its_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no table specification"):
        build(tmp_path / "nothing.yaml", tmp_path)


def test_a_whole_table_is_reproducible(spec, tmp_path, results):
    results(spec, tmp_path, LEVELS, seeds=2)
    first, second = build(spec, tmp_path), build(spec, tmp_path)
    assert first.findings == second.findings
    assert first.lines == second.lines


def test_results_of_others_are_printed_and_never_missing(spec, tmp_path, result):
    result(tmp_path / "qam", "qam", 0, scores(0.5))
    stm = Row("stm", "STM", (), printed={"J&F": 81.8})
    table = build(replace(spec, references=(stm,)), tmp_path)
    assert (table.line("stm").kind, table.line("stm").printed) == (REFERENCE, {"J&F": 81.8})
    assert "STM" not in dict(table.findings)["Not run:"]
    assert "| STM |" in to_markdown(table, {})


def test_seen_and_unseen_categories_are_measures_too(spec, tmp_path, result):
    result(tmp_path / "qam", "qam", 0, scores(0.5), youtube={"G": 0.625, "J_seen": 0.75})
    found = build(spec, tmp_path).line("qam").scores
    assert (found["G"].mean, found["J_seen"].mean, found["J&F"].mean) == (62.5, 75.0, 50.0)


def test_data_without_public_masks_gives_a_table_without_scores(spec, results, tmp_path):
    results(spec, tmp_path / "results", dict.fromkeys(LEVELS, float("nan")))
    table = build(spec, tmp_path / "results")
    assert not any(line.scores or line.interval or line.difference for line in table.lines)
    assert not any(item.interval for item in table.comparisons)
    found = dict(table.findings)
    assert "synthetic has no public masks after the first frame" in found["Nothing was scored:"]
    assert "run again with write_masks=true" in found["Nothing was scored:"]
    assert not {"Not run:", "Does the paper's order hold?", "What the intervals leave out:"} & set(found)
    (tmp_path / "results/both/seed0/masks").mkdir()
    found = dict(build(spec, tmp_path / "results").findings)
    assert "predicted masks are in " in found["Nothing was scored:"]
    assert "results/both/seed0/masks, " in found["Nothing was scored:"]
    text = {path.name: path.read_text() for path in write(table, tmp_path / "out") if path.suffix in (".csv", ".md")}
    assert "not scored" in text["table.md"]
    assert table.misses == []
