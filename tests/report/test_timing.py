from dataclasses import replace

import pytest

from memvos.report import timing
from memvos.report.sections import Section
from memvos.report.timing import Timing


@pytest.fixture
def measured(spec, tmp_path) -> Timing:
    """A table of two modules, and a figure."""
    (tmp_path / "figure.png").write_bytes(b"\x89PNG" + bytes(28))
    return Timing(
        replace(spec, title="Times"),
        header=(("device", "a CPU"),),
        section=Section("Times", "Seconds.", ["", "time"], [["a, b", "0.5"], ["c", "0.25"]]),
        lines=[{"module": "a, b", "seconds": 0.5, "paper": None}, {"module": "c", "seconds": 0.25, "paper": 0.2}],
        findings=(("a:", "twice as long as c."),),
        figures={"time": tmp_path / "figure.png"},
    )


def test_a_table_of_times_is_written_as_any_other(measured, tmp_path, parsed):
    (tmp_path / "out").mkdir()
    files = timing.write(measured, tmp_path / "out")
    tables = [tmp_path / "out" / f"table.{suffix}" for suffix in ("csv", "md", "html")]
    assert files == [*tables, tmp_path / "figure.png"]
    assert tables[0].read_text() == 'module,seconds,paper\n"a, b",0.5,\nc,0.25,0.2\n'
    text = tables[1].read_text(encoding="utf-8")
    assert text.startswith("# Times\n\n- device: a CPU\n\nSeconds.\n\n|   | time |\n| :-- | --: |\n| a, b | 0.5 |\n")
    assert "- **a:** twice as long as c." in text
    assert "![time](figure.png)" in text
    assert parsed(tables[2].read_text(encoding="utf-8")).cells == ["Times", "time", "a, b", "0.5", "c", "0.25"]


def test_times_and_what_they_mean_are_told_on_a_terminal(measured):
    assert timing.to_text(measured).splitlines() == [
        "Times",
        "device a CPU",
        "",
        "      time",
        "──────────",
        "a, b   0.5",
        "c     0.25",
        "",
        "· a: twice as long as c.",
    ]


def test_findings_and_figures_may_be_missing(measured):
    bare = Timing(measured.spec, measured.header, measured.section, measured.lines)
    assert (bare.findings, bare.figures) == ((), {})
    assert "·" not in timing.to_text(bare)
