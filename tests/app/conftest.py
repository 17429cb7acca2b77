"""Running the command line inside the test process, on a tiny embedded benchmark."""

import json
import zipfile
from types import SimpleNamespace

import pytest

from memvos.app import provenance
from memvos.app.finished import FINAL
from memvos.app.main import main

TINY = ("scale=smoke", "data.clips={train: 2, val: 1, test: 2}", "data.frames=6", "steps={pretrain: 2, main: 2}")


@pytest.fixture(scope="session")
def benchmark_cache(tmp_path_factory):
    """One cache of rendered clips for all tests of the application."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(tmp_path, monkeypatch, benchmark_cache):
    """An empty working folder; rendered clips go to the shared cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMVOS_CACHE", str(benchmark_cache))
    monkeypatch.delenv("MEMVOS_DEBUG", raising=False)
    return tmp_path


@pytest.fixture
def tiny():
    """Overrides for the smallest training there is."""
    return TINY


@pytest.fixture
def memvos(home, capsys):
    """Run a command line; returns (exit code, standard output, standard error)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def wandb_runs(monkeypatch):
    """What stands in for W&B's runs, with everything that is logged to them."""
    made = []

    class Recorder(SimpleNamespace):
        def __init__(self, name, folder, run, offline, **named):
            super().__init__(name=name, folder=folder, **named, tables={}, images={}, ends=[])
            self.experiment = SimpleNamespace(finish=self.ends.append)
            made.append(self)

        def log_hyperparams(self, settings):
            self.settings = settings

        def log_metrics(self, metrics, step):
            self.metrics = metrics

        def log_table(self, key, columns, data):
            self.tables[key] = (columns, data)

        def log_image(self, key, images):
            self.images[key] = images

    monkeypatch.setattr("memvos.lit.loggers.WandbLogger", Recorder)
    return made


@pytest.fixture
def evaluated():
    """evaluated(folder, mark, **config) makes a folder look like that of a finished evaluation of two objects."""

    def make(folder, mark, **config):
        folder.mkdir(parents=True, exist_ok=True)
        record = {"provenance": {"fingerprint": mark, "config": config}, "objects": 2, "lines": {"quality.csv": 3}}
        (folder / "result.json").write_text(json.dumps(record))
        (folder / "objects.csv").write_text("video,object\na,1\na,2\n")
        (folder / "quality.csv").write_text("video,frame,object\na,0,1\na,1,1\na,1,2\n")

    return make


@pytest.fixture
def finish():
    """finish(folder, mark) makes a folder look like that of a finished training."""

    def make(folder, mark):
        (folder / FINAL).parent.mkdir(parents=True)
        with zipfile.ZipFile(folder / FINAL, "w") as weights:
            weights.writestr("data", "w" * 100)
        provenance.write(folder, {"fingerprint": mark, "finished": "now"})

    return make
