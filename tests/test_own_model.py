"""docs/own_model.md, as it is printed: the reader's network with QAM on it, trained and compared in a table."""

import re
from pathlib import Path

import pytest

from memvos.app.main import main

PAGE = Path(__file__).parents[1] / "docs" / "own_model.md"
TINY = ("scale=smoke", "data.clips={train: 2, val: 1, test: 2}", "data.frames=6", "steps={pretrain: 2, main: 2}")


def printed_files() -> dict[str, str]:
    """The page's files by their names."""
    return dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def test_the_network_has_at_most_sixty_lines():
    lines = printed_files()["lean.py"].splitlines()
    assert len(lines) <= 60
    assert f"a network of {len(lines)} lines" in PAGE.read_text()


@pytest.mark.slow
def test_the_table_of_the_page_is_made(tmp_path, monkeypatch, capsys):
    for name, text in printed_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("MEMVOS_CACHE", str(tmp_path / "cache"))
    rows = "rows=lean,lean_qam"
    code = main(["reproduce", "lean.yaml", "--config-dir", "configs", rows, *TINY, "callbacks.validation=null"])
    output = capsys.readouterr()
    assert code == 0, output.err
    lines = output.out.splitlines()
    for label in ("Lean ", "Lean, oracle gate", "Lean + QAM ", "Lean + QAM, no gate"):
        assert any(line.startswith(label) and "not run" not in line for line in lines), label
