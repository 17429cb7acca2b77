import csv
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from memvos.lit import CsvLogger, wandb_logger
from memvos.lit.loggers import has_key, told


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_columns_are_added_as_they_come_up(tmp_path):
    logger = CsvLogger(tmp_path)
    logger.log_metrics({"train/loss": torch.tensor(0.5), "epoch": 0}, 1)
    logger.log_metrics({"val/J": 0.25}, 2)
    logger.log_metrics({"train/loss": 0.125}, 3)
    assert rows(tmp_path) == [
        {"step": "1", "train/loss": "0.5", "val/J": ""},
        {"step": "2", "train/loss": "", "val/J": "0.25"},
        {"step": "3", "train/loss": "0.125", "val/J": ""},
    ]


def test_a_resumed_training_keeps_earlier_lines_and_replaces_later_ones(tmp_path):
    first = CsvLogger(tmp_path)
    for step in range(5):
        first.log_metrics({"train/loss": step}, step)
    second = CsvLogger(tmp_path)
    second.log_metrics({"train/loss": 30, "train/score": 1}, 3)
    assert [(row["step"], row["train/loss"], row["train/score"]) for row in rows(tmp_path)] == [
        ("0", "0", ""), ("1", "1", ""), ("2", "2", ""), ("3", "30", "1")
    ]  # fmt: skip


@pytest.mark.parametrize(("settings", "offline"), [({}, True), ({"WANDB_API_KEY": "0" * 40}, False)])
def test_wandb_is_offline_unless_a_key_is_set(monkeypatch, tmp_path, settings, offline):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("memvos.lit.loggers.WandbLogger", lambda *options, **named: (options, named))
    (name, folder, run, is_offline), named = wandb_logger(tmp_path / "run", group="qdmn_table5", name="both")
    assert (name, is_offline, named["group"]) == ("both", offline, "qdmn_table5")
    assert run == wandb_logger(tmp_path / "run")[0][2]  # the same folder, the same run
    assert folder.is_dir()


@pytest.mark.parametrize(("machine", "server", "found"), [
    ("api.wandb.ai", None, True), ("api.wandb.ai", "http://own:8080", False), ("own:8080", "http://own:8080", True),
])  # fmt: skip
def test_a_key_is_looked_for_under_the_name_of_the_server(monkeypatch, tmp_path, machine, server, found):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "keys"))
    (tmp_path / "keys").write_text(f"machine {machine}\n  login user\n  password {'0' * 40}\n")
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    if server:
        monkeypatch.setenv("WANDB_BASE_URL", server)
    assert has_key() == found


def test_an_offline_run_needs_no_key(tmp_path):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    script = (
        "import sys\nfrom memvos.lit.loggers import told, wandb_logger\n"
        "logger = wandb_logger(sys.argv[1], name='row')\n"
        "with told([logger], {'seed': 3}):\n logger.log_metrics({'J': 0.5}, 1)\n"
    )
    line = [sys.executable, "-c", script, str(tmp_path / "run")]
    settings |= {"NETRC": str(tmp_path / "none"), "HOME": str(tmp_path)}
    done = subprocess.run(line, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len([*(tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")]) == 1


class Recorder:
    """Stands in for W&B."""

    def __init__(self, *options, **named):
        self.settings, self.ends = None, []
        self.experiment = SimpleNamespace(finish=self.ends.append)

    def log_hyperparams(self, settings):
        self.settings = settings


def test_a_run_is_told_its_configuration_and_how_it_ended(monkeypatch, tmp_path):
    monkeypatch.setattr("memvos.lit.loggers.WandbLogger", Recorder)
    recorder = Recorder()
    with told([recorder, CsvLogger(tmp_path)], {"seed": 3, "memory": {"sigma": 0.8}}):
        assert (recorder.settings, recorder.ends) == ({"seed": 3, "memory": {"sigma": 0.8}}, [])
    assert recorder.ends == [0]
    with pytest.raises(KeyboardInterrupt), told([recorder], {}):
        raise KeyboardInterrupt
    assert recorder.ends == [0, 1]


def test_importing_the_evaluation_does_not_import_lightning():
    code = "import sys; from memvos.lit import evaluate; sys.exit('pytorch_lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
