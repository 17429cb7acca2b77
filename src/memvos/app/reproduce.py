"""`memvos reproduce NAME`: train and evaluate every row of a table, and print it beside the paper's numbers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memvos.errors import InputError

CONFIG_DIR = "--config-dir"
HELP = """usage: memvos reproduce NAME [scale=SCALE] [data=DATA] [OPTION=VALUE ...] [HYDRA OVERRIDES ...]

Trains and evaluates every row of experiments/NAME.yaml (or of a file NAME), and writes runs/NAME/table.csv, .md, .html.
What is done already is not done again; after Ctrl-C the same command goes on.

  scale=   smoke (plumbing), mini (default), small, paper
  data=    synthetic (default, needs nothing), davis2016, ...; data.root=FOLDER says where it is
  seeds=   how many seeds, 0 to N-1 (default: the table's for the scale)
  jobs=    how many jobs at a time (default: one per CUDA device, or per core)
  rows=    only these, e.g. rows=baseline,qam (floors by their names, too)
  output=  where everything goes (default: runs/NAME)
  --config-dir FOLDER   configurations of your own, in a folder of the form of conf/ (models, data sets)

Everything else goes to the jobs, to train or evaluate or both, wherever it is a key of theirs.
Tables: {names}"""


@dataclass
class Options:
    """The command line: the table's name, the runner's own options, and overrides for the jobs."""

    name: str
    seeds: int | None = None
    jobs: int | None = None
    rows: tuple[str, ...] = ()
    output: Path | None = None
    overrides: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Options:
        """Read the command line.

        Raises:
            InputError: if there is no name, an option is not a number, or a folder of configurations is not there.
        """
        arguments, overrides = _own_configs(arguments)
        names = [argument for argument in arguments if "=" not in argument and not argument.startswith("~")]
        if len(names) != 1 or names[0].startswith("-"):
            raise InputError(f"expected one table, got {' '.join(names) or 'none'}; tables are {', '.join(tables())}")
        options = cls(names[0], overrides=overrides)
        for argument in arguments:
            key, _, value = argument.partition("=")
            if key in ("seeds", "jobs"):
                setattr(options, key, _count(key, value))
            elif key == "rows":
                options.rows = tuple(row for row in value.strip("[]").split(",") if row)
            elif key in ("output", "output_dir"):
                options.output = Path(value)
            elif argument != options.name:
                options.overrides.append(argument)
        return options


def run(arguments: list[str]) -> int:
    """Run the command line; 1 if a job failed, or a result misses the table's tolerance for its scale."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP.format(names=", ".join(tables())))
        return 0 if arguments else 2
    from memvos.app import processes

    options = Options.parse(arguments)
    os.environ.update(processes.THREADS)  # before torch is imported: forked jobs inherit it
    from memvos.app.table_run import reproduce

    return reproduce(options)


def tables() -> list[str]:
    """Names of the shipped specifications."""
    from memvos.paths import experiments_dir

    return sorted(path.stem for path in experiments_dir().glob("*.yaml"))


def spec_path(name: str) -> Path:
    """The file of a table, by its name or path.

    Raises:
        InputError: if there is none, with the names of those there are.
    """
    from memvos.paths import experiments_dir

    for path in (experiments_dir() / f"{name}.yaml", Path(name)):
        if path.is_file():
            return path
    raise InputError(f"no table or figure {name!r}; there are {', '.join(tables())} (or give the path of a .yaml file)")


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder: two runs in one would write the same files. Jobs left over from a killed run hold it, too.

    Raises:
        InputError: if another run holds it.
    """
    import fcntl

    with open(folder / ".lock", "w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder} is in use by another run, or by a job that a killed run left behind; "
                "wait for it, stop it, or give output=FOLDER"
            ) from error
        yield


def _own_configs(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without `--config-dir FOLDER`, and the override by which the jobs find that folder."""
    rest, folder = list(arguments), None
    for index, argument in enumerate(arguments):
        if argument.partition("=")[0] == CONFIG_DIR:
            given = argument.partition("=")[2] or "".join(arguments[index + 1 : index + 2])
            folder = Path(given)
            del rest[index : index + (1 if "=" in argument else 2)]
    if folder is None:
        return rest, []
    if not folder.is_dir():
        raise InputError(f"{CONFIG_DIR}: no folder {str(folder)!r}; give one of the form of conf/")
    return rest, [f"hydra.searchpath=['file://{folder.resolve()}']"]


def _count(key: str, value: str) -> int:
    if not value.isdigit() or int(value) < 1:
        raise InputError(f"expected {key}=N with N of at least 1, got {key}={value}")
    return int(value)
