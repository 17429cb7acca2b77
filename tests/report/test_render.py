import csv
import io

import pytest

from memvos.report.render import to_csv, to_markdown, to_text, write
from memvos.report.table import build

LEVELS = {"baseline": 0.5, "qam": 0.52, "pem": 0.55, "both": 0.6, "copy_first": 0.25, "matching": 0.4}


@pytest.fixture
def table(spec, results, tmp_path):
    """A table in which everything but one gate ran."""
    return build(spec, results(spec, tmp_path / "results", LEVELS, skip=["pem__oracle_gate"], clips=6))


def rows_of(text):
    return {(line["row"], line["variant"]): line for line in csv.DictReader(io.StringIO(text))}


def test_csv_holds_one_line_per_line_of_the_table_in_percent(table):
    rows = rows_of(to_csv(table))
    assert list(rows)[:4] == [("baseline", ""), ("qam", ""), ("pem", ""), ("both", "")]
    assert len(rows) == 12
    both = rows["both", ""]
    assert (both["kind"], both["QAM"], both["PEM"], both["status"], both["seeds"]) == ("row", "1", "1", "done", "0")
    assert float(both["J&F_paper"]) == 84.6
    assert float(both["J&F_diff"]) == pytest.approx(float(both["J&F"]) - 84.6, abs=1e-3)
    assert float(both["low_to_base"]) < float(both["to_base"]) < float(both["high_to_base"])
    assert both["verdict"] == "gains"
    assert float(both["attribute:occlusion"]) == pytest.approx(float(both["J&F"]), abs=1e-3)


def test_csv_says_what_was_not_run(table):
    line = rows_of(to_csv(table))["pem", "oracle_gate"]
    assert (line["status"], line["J&F"], line["seeds"]) == ("not run", "", "")


def test_markdown_shows_measured_paper_and_difference(table):
    text = to_markdown(table, {})
    line = table.line("qam")
    start = f"| QAM | ✓ |   | {line.scores['J'].mean:.1f} | 81.7 | {line.miss('J'):+.1f} | "
    assert start in text
    assert "| PEM, oracle gate |   | ✓ | not run | – | – | not run |" in text
    assert "- scale: mini" in text


def test_markdown_tables_have_as_many_cells_as_columns(table):
    blocks = to_markdown(table, {}).split("\n\n")
    grids = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(grids) == 7
    for grid in grids:
        assert len({line.count("|") for line in grid}) == 1


def test_html_is_one_file_without_scripts(table, tmp_path, parsed):
    write(table, tmp_path / "out")
    page = parsed((tmp_path / "out/table.html").read_text())
    assert "script" not in page.tags
    assert page.tags.count("img") == 5
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert {"84.6", "not run", "QAM + PEM, oracle gate"} <= set(page.cells)


def test_text_fits_a_terminal_and_names_scale_and_data(table):
    text = to_text(table)
    assert "scale mini · data synthetic · difficulty easy" in text
    assert max(map(len, text.splitlines()[3:])) <= 120
    line = next(line for line in text.splitlines() if line.startswith("QAM + PEM  "))
    assert "84.6" in line
    assert "· Effect of QAM: " in text


def test_a_table_without_results_can_be_written(spec, tmp_path):
    files = write(build(spec, tmp_path), tmp_path / "out")
    assert [path.name for path in files] == ["table.csv", "table.md", "table.html"]
    assert "not run" in files[1].read_text()
    assert "84.6" in to_text(build(spec, tmp_path))


def test_writing_returns_every_file_and_leaves_no_others(table, tmp_path):
    files = write(table, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in files)
    assert "![Corrupted masks in the memory bank](corrupted.png)" in (tmp_path / "out/table.md").read_text()


@pytest.mark.parametrize("name", ["quality_bins.csv", "corrupted.csv"])
def test_numbers_of_an_earlier_report_do_not_stay_beside_one_without(table, spec, tmp_path, name):
    write(table, tmp_path / "out")
    assert (tmp_path / "out" / name).is_file()
    write(build(spec, tmp_path / "nothing"), tmp_path / "out")
    assert not (tmp_path / "out" / name).exists()


def test_the_same_results_give_the_same_files(table, tmp_path):
    first, second = (write(table, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
