"""Cells of the report's grids, from small results."""

from dataclasses import replace

import pytest

from memvos.report.compare import Interval
from memvos.report.sections import (
    attributes,
    comparisons,
    interval_text,
    main,
    orderings,
    provenance,
    quality,
    sections,
    swept,
)
from memvos.report.table import build


@pytest.fixture
def table(spec, tmp_path, result):
    """Two rows ran: the baseline with one seed, QAM with two."""
    measured = {"spearman": 0.725, "bias": 0.0625, "gated_fraction": 0.155}
    result(tmp_path / "baseline", "baseline", 0, {("clip0", "1"): 0.5, ("clip1", "1"): 0.25})
    for seed, value in enumerate((0.5, 0.6)):
        scores = {("clip0", "1"): value, ("clip1", "1"): value}
        result(tmp_path / "qam", "qam", seed, scores, quality=measured)
    return build(spec, tmp_path)


def cells(section, label):
    """The row of cells with this label, by column."""
    row = next(row for row in section.cells if row[0] == label)
    return dict(zip(section.columns, row, strict=True))


def test_the_main_grid_shows_measured_printed_and_their_difference(table):
    row = next(row for row in main(table).cells if row[0] == "QAM")
    assert row[:3] == ["QAM", "✓", ""]  # the ticks of the paper
    assert row[3:6] == ["53.0 ± 7.1", "81.7", "-28.7"]  # J is 48 and 58
    assert row[-1] == "0,1"


SEEDS = "to base: over the seeds that both rows have."


def test_the_main_grid_says_in_which_stages_its_rows_were_trained(table):
    told = "Trained in stages: pretrain (static images as pseudo-videos); main (video clips)."
    assert main(table).note.endswith(f" only frames where the object is visible. {SEEDS} {told}")
    unnamed = tuple(replace(stage, label="") for stage in table.spec.stages)
    assert main(replace(table, spec=replace(table.spec, stages=unnamed))).note.endswith("in stages: pretrain; main.")
    short = tuple(replace(row, stages=row.stages[:1]) for row in table.spec.rows)  # the other is used by no row
    assert main(replace(table, spec=replace(table.spec, rows=short))).note.endswith(" as pseudo-videos).")
    untrained = tuple(replace(row, stages=()) for row in table.spec.rows)
    assert "stages" not in main(replace(table, spec=replace(table.spec, rows=untrained))).note


def test_the_brief_grid_prints_the_paper_for_the_main_metric_only(table):
    assert main(table, brief=True).columns.count("paper") == 1
    assert main(table).columns.count("paper") == 3


def test_a_measure_that_is_neither_measured_nor_printed_has_no_column(table):
    assert "G" not in main(replace(table, spec=replace(table.spec, metrics=("J", "J&F", "G")))).columns
    base = table.line("baseline")
    lines = (replace(base, printed={"G": 83.0}), *table.lines[1:])
    spec = replace(table.spec, metrics=("J", "J&F", "G"))
    assert "G" in main(replace(table, spec=spec, lines=lines)).columns


def test_what_did_not_run_says_so(table):
    assert cells(main(table, brief=True), "PEM")["J&F"] == "not run"
    against_base = next(row for row in comparisons(table).cells if row[:2] == ["PEM", "baseline"])
    assert against_base[2:] == ["not run", "–", "–"]


def test_an_ordering_shows_verdict_difference_and_that_of_the_paper(spec, tmp_path, result):
    for row, (first, second) in {"both": (0.6, 0.7), "qam": (0.5, 0.6), "pem": (0.7, 0.5)}.items():
        result(tmp_path / row, row, 0, {(f"clip{c}", "1"): (first, second)[c % 2] for c in range(6)})
    pairs = (("both", "qam"), ("qam", "both"), ("both", "pem"), ("pem", "baseline"))
    grid = orderings(build(replace(spec, orderings=pairs), tmp_path))
    assert grid.columns == ["", "above", "verdict", "difference [95 %]", "paper"]
    assert grid.cells == [  # J&F 84.6, 84.3, 83.6 in the paper; the baseline was not run
        ["QAM + PEM", "QAM", "holds", "+10.0 [+10.0, +10.0]", "+0.3"],
        ["QAM", "QAM + PEM", "contradicted", "-10.0 [-10.0, -10.0]", "-0.3"],
        ["QAM + PEM", "PEM", "undecided", "+5.0 [-10.0, +20.0]", "+1.0"],  # all of the six clips may be of one kind
    ]
    spec = replace(spec, rows=tuple(replace(row, printed={}) for row in spec.rows), orderings=pairs)
    assert [row[-1] for row in orderings(build(spec, tmp_path)).cells] == ["–"] * 3


def test_scores_of_the_quality_head_have_their_own_formats(table):
    row = cells(quality(table), "QAM")
    assert (row["Spearman"], row["bias"], row["rejected"]) == ("0.72", "+0.062", "16%")
    assert (row["logit deviation"], row["FPS"], row["ECE"]) == ("2.50", "40.0", "–")


def test_attributes_name_their_number_of_objects(table):
    grid = attributes(table, "attributes", "by attribute", "Percent.")
    row = cells(grid, "baseline")
    assert grid.columns == ["", "exit (1)", "occlusion (2)"]
    assert (row["exit (1)"], row["occlusion (2)"]) == ("50.0", "37.5")
    assert grid.note == "Percent. In brackets: number of objects."


def test_every_result_shows_its_proof(table):
    assert provenance(table).cells[0] == [
        "baseline/seed0",
        "0123456789abcdef",
        "b" * 12,
        "10 / 0",
        "2026-01-01T00:00:00+00:00",
    ]


def test_a_sweep_has_a_column_per_value(table):
    assert swept(table, table.spec.sweeps[0]).columns == ["", "0", "10", "30", "50"]


def test_sections_that_have_nothing_to_show_are_left_out(spec, tmp_path, table):
    titles = [section.title for section in sections(build(spec, tmp_path / "nothing"))]
    assert titles == [spec.title, "Differences", "Corrupted masks in the memory bank", "Quality scores and memory"]
    assert [section.title for section in sections(table)][-1] == "Provenance"
    ordered = replace(spec, orderings=(("qam", "baseline"),))
    assert "The paper's orderings" in [s.title for s in sections(build(ordered, tmp_path))]
    assert "Differences" not in [section.title for section in sections(replace(table, comparisons=()))]


def test_an_interval_in_brackets_or_a_dash():
    assert interval_text(Interval(1.24, 0.31, 2.16, 1, 4, 4)) == "+1.2 [+0.3, +2.2]"
    assert interval_text(None) == "–"
