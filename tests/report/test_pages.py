import base64

import pytest

from memvos.report.pages import document, page, plain, replace_files
from memvos.report.sections import Section

HEADER = (("scale", "mini"), ("data", "synthetic"))
MAIN = Section("Main", "Percent.", ["", "J&F"], [["QAM", "81.7"], ["none", "9"]], kinds=("row", "row"))
MORE = Section("More", "Seconds.", ["module", "kind", "time"], [["a", "b", "1.25"]], words=2)
FINDINGS = (("Effect of QAM:", "none at all."),)
ODD = "<b>R&D</b> | one"


def test_a_document_is_header_main_grid_findings_figures_and_further_grids(tmp_path):
    text = document("A table", HEADER, [MAIN, MORE], FINDINGS, {"The figure": tmp_path / "out/figure.png"})
    expected = """# A table

- scale: mini
- data: synthetic

Percent.

|   | J&F |
| :-- | --: |
| QAM | 81.7 |
| none | 9 |

## Findings

- **Effect of QAM:** none at all.

![The figure](figure.png)

## More

Seconds.

| module | kind | time |
| :-- | :-- | --: |
| a | b | 1.25 |
"""
    assert text == expected


def test_a_page_says_the_same_in_one_file(tmp_path, parsed):
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (300).to_bytes(4, "big") + b"and more"
    (tmp_path / "figure.png").write_bytes(png)
    text = page("A table", HEADER, [MAIN, MORE], FINDINGS, {"The figure": tmp_path / "figure.png"})
    read = parsed(text)
    assert read.cells == ["A table", "J&F", "QAM", "81.7", "none", "9", "module", "kind", "time", "a", "b", "1.25"]
    assert read.links == [f"data:image/png;base64,{base64.b64encode(png).decode()}"]
    assert '<img alt="The figure" width="200"' in text  # two thirds of the 300 pixels that its header tells
    assert "<dt>scale</dt><dd>mini</dd>" in text
    assert "<li><b>Effect of QAM:</b> none at all.</li>" in text
    assert text.index("Findings") < text.index("Figures") < text.index("<h2>More</h2>")


def test_a_page_without_figures_has_no_heading_for_them(parsed):
    text = page("A table", HEADER, [MAIN], FINDINGS, {})
    assert "Figures" not in text
    assert "section" not in parsed(text).tags


def test_names_are_escaped_on_a_page(parsed):
    odd = Section(ODD, ODD, [ODD], [[ODD]])
    text = page(ODD, (("data", "<img src=x>"),), [odd, odd], (("a<b", "x & y"),), {})
    assert "<b>R&D" not in text
    assert "<img" not in text
    assert "<b>a&lt;b</b> x &amp; y" in text
    assert parsed(text).cells == [ODD] * 5  # the title, and head and cell of two grids


def test_names_are_escaped_in_a_document(tmp_path):
    odd = Section(ODD, "Note.", [ODD, "a\\b"], [[ODD, "two\nlines"]])
    escaped = r"&lt;b>R&D&lt;/b> \| one"
    lines = document(ODD, (("data", ODD),), [odd, odd], ((ODD, ODD),), {ODD: tmp_path / "f.png"}).splitlines()
    assert lines[0] == f"# {escaped}"
    assert lines[2] == f"- data: {escaped}"
    grid = [f"| {escaped} | a\\\\b |", "| :-- | --: |", f"| {escaped} | two lines |"]
    assert lines[6:9] == grid
    assert f"- **{escaped}** {escaped}" in lines
    assert f"![{escaped}](f.png)" in lines
    assert f"## {escaped}" in lines


def test_words_stand_left_and_the_kinds_of_rows_are_told_apart_on_a_page():
    floors = Section("", "", ["", "J"], [["a", "1"], ["b", "2"], ["c", "3"]], kinds=("row", "floor", "floor"))
    text = page("", (), [floors], (), {})
    assert text.count("<th class=word>") == 1
    assert text.count("<td class=word>") == 3
    assert [f'<tr class="{kind}">' in text for kind in ("row", "floor first", "floor")] == [True] * 3
    assert text.count("first") - text.count("tr.first") == 1


def test_a_terminal_shows_columns_of_even_width():
    assert plain("A table", HEADER, MAIN, FINDINGS).splitlines() == [
        "A table",
        "scale mini · data synthetic",
        "",
        "       J&F",
        "──────────",
        "QAM   81.7",
        "none     9",
        "",
        "· Effect of QAM: none at all.",
    ]


@pytest.mark.parametrize(("kinds", "rules"), [((), 1), (("row", "row", "floor"), 2), (("a", "b", "c"), 3)])
def test_a_terminal_shows_a_rule_where_the_kind_of_rows_changes(kinds, rules):
    section = Section("", "", ["", "J"], [["a", "1"], ["b", "2"], ["c", "3"]], kinds=kinds)
    assert plain("", (), section, ()).splitlines().count("────") == rules


def test_long_findings_are_folded_for_a_terminal():
    lines = plain("", (), MAIN, (("Effect:", "word " * 60),)).splitlines()
    told = lines[lines.index("none     9") + 2 :]
    assert len(told) == 3  # 307 characters, at most 116 a line
    assert [line[:2] for line in told] == ["· ", "  ", "  "]
    assert max(map(len, told)) <= 116


def test_files_are_replaced_whole_and_no_draft_is_left(tmp_path):
    (tmp_path / "a.txt").write_text("a much longer text than before")
    assert replace_files(tmp_path, {"a.txt": "new ×", "b.txt": ""}) == [tmp_path / "a.txt", tmp_path / "b.txt"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new ×"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_a_file_that_cannot_be_written_stays_what_it_was(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        replace_files(tmp_path, {"a.txt": "new \ud800"})
    assert (tmp_path / "a.txt").read_text() == "old"
