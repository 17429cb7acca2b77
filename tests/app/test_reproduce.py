"""The command line of `memvos reproduce` by itself; tests/test_reproduce.py runs a whole table."""

import os
import subprocess
import sys

import pytest

from memvos.app import processes, reproduce
from memvos.app.options import Options, tables


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["qdmn_table5", "scale=mini", "-h"]])
def test_help_names_every_option_of_the_runner_and_every_table(capsys, arguments):
    assert reproduce.run(arguments) == 0
    output = capsys.readouterr().out
    assert output.startswith("usage: memvos reproduce NAME")
    assert all(f"\n  {option} " in output for option in ("scale=", "data=", "seeds=", "jobs=", "rows=", "output="))
    assert output.rstrip().endswith(f"Tables: {', '.join(tables())}")
    assert "qdmn_table5, " in output


def test_without_a_table_the_help_is_an_answer_to_bad_input(capsys):
    assert reproduce.run([]) == 2
    assert capsys.readouterr().out.startswith("usage: memvos reproduce NAME")


def test_help_does_not_wait_for_torch():
    script = "import sys; from memvos.app import reproduce; reproduce.run(['-h']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


@pytest.mark.parametrize("code", [0, 1])
def test_a_table_is_run_with_one_thread_a_job_and_its_exit_code_is_the_commands(monkeypatch, code):
    seen = []
    for name in processes.THREADS:
        monkeypatch.setenv(name, "4")

    def run_table(options: Options) -> int:
        seen.append((options, {name: os.environ[name] for name in processes.THREADS}))
        return code

    monkeypatch.setattr("memvos.app.table_run.reproduce", run_table)
    assert reproduce.run(["qdmn_table5", "scale=smoke", "seeds=2"]) == code
    ((options, threads),) = seen
    assert (options.name, options.overrides, options.seeds) == ("qdmn_table5", ["scale=smoke"], 2)
    assert threads == dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
