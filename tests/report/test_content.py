import pytest

from memvos.report.content import ROW, Line, Value
from memvos.report.sections import sections
from memvos.report.table import build


def scores(value):
    return {(f"clip{c}", "1"): value for c in range(4)}


def test_a_line_misses_the_paper_by_measured_minus_printed():
    line = Line(ROW, "qam", None, "QAM", printed={"J": 81.7}, scores={"J": Value(80.2), "F": Value(87.0)})
    assert line.miss("J") == pytest.approx(-1.5)
    assert (line.miss("F"), line.miss("J&F")) == (None, None)  # not printed; not measured


def test_a_line_ran_if_any_seed_did():
    assert not Line(ROW, "qam", None, "QAM").ran
    assert Line(ROW, "qam", None, "QAM", seeds=(0,)).ran


def test_lines_are_found_by_row_and_variant(spec, tmp_path):
    table = build(spec, tmp_path)
    assert table.line("qam").label == "QAM"
    assert table.line("qam", "no_gate").variant == "no_gate"
    assert [line.row for line in table.of_kind("floor")] == ["copy_first", "matching"]


def test_scores_by_attribute_name_their_number_of_objects(spec, tmp_path, result):
    result(tmp_path / "pem", "pem", 0, {("clip0", "1"): 0.9, ("clip1", "1"): 0.5, ("clip1", "2"): 0.4})
    table = build(spec, tmp_path)
    assert table.attributes == {"exit": 1, "occlusion": 3}
    assert table.line("pem").attributes["exit"].mean == pytest.approx(90)
    assert table.line("pem").present["occlusion"].mean == pytest.approx(50)


@pytest.mark.parametrize("data", ["davis2017", "paper"])
def test_the_tolerance_holds_at_paper_scale_on_the_papers_data(spec, tmp_path, result, data):
    result(tmp_path / "qam", "qam", 0, scores(0.843), scale="paper", data=data)
    result(tmp_path / "pem", "pem", 0, scores(0.80), scale="paper", data=data)
    misses = build(spec, tmp_path).misses
    assert misses == ["PEM: J&F 80.0, printed 83.6, differs by -3.6 points; scale paper allows 1.0"]


@pytest.mark.parametrize("facts", [{"scale": "mini", "data": "davis2017"}, {"scale": "paper", "data": "synthetic"}])
def test_no_tolerance_holds_elsewhere(spec, tmp_path, result, facts):
    result(tmp_path / "pem", "pem", 0, scores(0.50), **facts)
    table = build(spec, tmp_path)
    assert table.misses == []
    assert table.line("pem").miss("J&F") == pytest.approx(-33.6)


def test_the_rank_correlation_is_shown_with_its_interval(spec, tmp_path, result):
    folder = result(tmp_path / "qam", "qam", 0, scores(0.8), quality={"spearman": 0.94, "bias": 0.0})
    assert build(spec, tmp_path).line("qam").spearman_text == "0.94"  # there are no masks to draw from
    lines = [f"clip{k},{t:05d},1,{(t + 3 * (t % 2)) / 10},{t / 10},0," for k in range(4) for t in range(8)]
    (folder / "quality.csv").write_text("\n".join(["video,frame,object,quality,iou,stored,evicted", *lines]))
    table = build(spec, tmp_path)
    same = table.line("qam").spearman.mean  # clips that are alike leave nothing to chance
    assert table.line("qam").spearman_text == f"0.94 [{same:.2f}, {same:.2f}]"
    assert f"Spearman 0.94 [{same:.2f}, {same:.2f}]" in dict(table.findings)["Quality scores of QAM:"]
    section = next(section for section in sections(table) if section.title == "Quality scores and memory")
    assert f"0.94 [{same:.2f}, {same:.2f}]" in next(cells for cells in section.cells if cells[0] == "QAM")
