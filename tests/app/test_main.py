"""The command line as a user meets it: help, exit codes, one line per mistake."""

import subprocess
import sys

import pytest

from memvos.app import main as command_line
from memvos.app.main import COMMANDS, main, run
from memvos.errors import InputError, RunFailed


def mistakes(*arguments: str, contains: str):
    return pytest.param(list(arguments), contains, id=" ".join(arguments)[:60])


BAD = [
    mistakes("nonsense", contains="no command 'nonsense'; commands are train, evaluate"),
    mistakes("train", "data=nope", contains="no config 'nope' in group 'data'; options are"),
    mistakes("train", "model/quality=qm", contains="options are none, qam"),
    mistakes("train", "model/qualty=qam", contains="did you mean model/quality?"),
    mistakes(
        "train", "model=stm", "model/prior=weak", contains="model=stm has no part 'model/prior'; its own are model/b"
    ),
    mistakes(
        "train", "model=dmn_aoa", "model/alignment=none", contains="mean model/alignment@model.matcher.alignment?"
    ),
    mistakes("train", "trainr.max_steps=2", contains="did you mean 'trainer'?"),
    mistakes("train", "model.key_chanels=3", contains="did you mean 'model.key_channels'?"),
    mistakes("train", "seed", contains="expected key=value"),
    mistakes(
        "train", "data=davis2016", "data.root=/no/such/place", contains="data root /no/such/place is not a folder"
    ),
    mistakes("train", "data=davis2016", "data.root=null", contains="set data.root=PATH"),
    mistakes("train", "batch.main=3", "trainer=cpu", "trainer.devices=2", contains="use one of 1, 3 devices"),
    mistakes("train", "scale=smoke", "weights=/none.ckpt", contains="no weight file /none.ckpt"),
    mistakes(
        "train",
        "scale=smoke",
        "learning_rate.main=-1",
        contains="expected learning_rate.main as a number from 0, got -1",
    ),
    mistakes(
        "train", "scale=smoke", "callbacks.validation.every_steps=0", contains="validation: expected every_steps as a"
    ),
    mistakes("evaluate", "scale=smoke", contains="give weights=FILE"),
    mistakes(
        "evaluate", "scale=smoke", "split=tset", "untrained=true", contains="has no split 'tset'; expected one of"
    ),
    mistakes("reproduce", "qdmn_table55", contains="qdmn_table4, qdmn_table5"),
    mistakes("reproduce", "qdmn_table5", "rows=nobody", contains="its rows are baseline, qam, pem, both"),
    mistakes("reproduce", "qdmn_table5", "seeds=many", contains="expected seeds=N"),
    mistakes("reproduce", "qdmn_table5", "foo=1", contains="unknown config key 'foo'"),
    mistakes("segment", "clip.mp4", contains="--masks FIRST is missing"),
    mistakes("segment", "clip.mp4", "--masks", contains="--masks needs a value"),
    mistakes("data", "check", "davis2016", "root=/no/such/place", contains="is not a folder"),
    mistakes("data", "chekc", contains="expected `memvos data check NAME root=PATH`"),
    mistakes(
        "import", "qdmn", "a", contains="the following arguments are required: -o/--output; see memvos import --help"
    ),
]


@pytest.mark.parametrize(("arguments", "contains"), BAD)
def test_bad_input_gets_one_line_and_exit_code_2(memvos, arguments, contains):
    code, _, error = memvos(*arguments)
    assert code == 2
    assert contains in error
    assert len([line for line in error.splitlines() if "rendering" not in line and line]) == 1, error


def test_unwritable_output_is_told_before_anything_runs(memvos, home):
    (home / "file").touch()
    code, _, error = memvos("train", "scale=smoke", f"output_dir={home}/file/run")
    assert code == 2
    assert "cannot write to" in error
    assert "choose another output_dir" in error


def test_a_configuration_with_a_typing_error_is_told_with_its_line(memvos, home):
    (home / "mine" / "experiment").mkdir(parents=True)
    (home / "mine" / "experiment" / "bad.yaml").write_text("seed: {a: 1\nb: 2\n")
    code, _, error = memvos("train", "--config-dir", home / "mine", "experiment=bad")
    assert code == 2
    assert "bad.yaml" in error
    assert "line 2" in error
    assert len(error.splitlines()) == 1


def test_faults_of_the_program_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(command_line.importlib, "import_module", lambda name: _Broken(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        run("train", [])


def test_a_run_that_came_to_nothing_ends_with_1_and_one_line(monkeypatch, capsys):
    monkeypatch.setattr(command_line.importlib, "import_module", lambda name: _Broken(RunFailed("the loss is nan")))
    assert run("train", []) == 1
    assert capsys.readouterr().err == "memvos train: the loss is nan\n"


def test_debug_shows_the_traceback_of_bad_input(monkeypatch):
    monkeypatch.setattr(command_line.importlib, "import_module", lambda name: _Broken(InputError("bad")))
    monkeypatch.setenv("MEMVOS_DEBUG", "1")
    with pytest.raises(InputError):
        run("train", [])


@pytest.mark.parametrize(
    ("said", "printed"), [("", "Nothing was lost; the same command starts again."), ("Go on with x.", "Go on with x.")]
)
def test_an_interrupt_ends_with_130_and_says_how_to_go_on(monkeypatch, capsys, said, printed):
    def interrupted(arguments):
        raise KeyboardInterrupt(*([said] if said else []))

    monkeypatch.setattr("memvos.app.bench.run", interrupted)
    assert run("bench", []) == 130
    assert capsys.readouterr().err == f"memvos bench: interrupted. {printed}\n"


def test_help_names_every_command_and_does_not_import_torch():
    script = "import sys; from memvos.app.main import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(memvos, name):
    code, output, _ = memvos(name, "--help")
    assert code == 0
    assert f"memvos {name}" in output


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("memvos ")


class _Broken:
    """A subcommand's module that raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self, arguments: list[str]) -> int:
        raise self.error
