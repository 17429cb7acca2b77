"""The command line of `memvos reproduce`: which table, the runner's own options, and overrides for its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memvos.app.arguments import whole_number
from memvos.app.composition import key_of, quoted
from memvos.errors import InputError
from memvos.paths import experiments_dir
from memvos.report.spec import Spec
from memvos.report.spec_file import load_spec

CONFIG_DIR = "--config-dir"
TRAIN_DATA = ("train_data=", "train_data.", "+train_data.", "++train_data.")
SEVERAL = "choose with seeds=N and rows=ROW,ROW"
AS_LISTED = "write the stages of your own into a copy of its .yaml file, and give that in place of NAME"
REFUSED = {
    **dict.fromkeys(("seed", "table", "row", "run_name", "fingerprint"), SEVERAL),
    **dict.fromkeys(("stage", "untrained"), AS_LISTED),
    "weights": "backbones start from model.backbone.weights=FILE; memvos train weights=FILE starts from a network",
    "resume": "what is done is kept and the rest goes on; output=FOLDER, a new one, starts anew",
}
"""Keys of the jobs that nobody but the table sets, and what to do instead."""


@dataclass
class Options:
    """The command line: the table's name, the runner's own options, and overrides for the jobs.

    Attributes:
        name: of the table.
        seeds: how many; None: what the table says.
        jobs: how many at a time; None: what the machine has room for.
        rows: the only ones, if any are named.
        output: the table's folder; None: runs/NAME.
        overrides: of every job whose configuration has the key.
        train_data: overrides of the data of trainings, in place of those of the table's data (train_data=paper
            train_data.root=FOLDER).
    """

    name: str
    seeds: int | None = None
    jobs: int | None = None
    rows: tuple[str, ...] = ()
    output: Path | None = None
    overrides: list[str] = field(default_factory=list)
    train_data: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Options:
        """Read the command line.

        Raises:
            InputError: if there is no name, a key is the table's own to set, an option is not a number, a folder of
                configurations is not there, or the folder to write to or the data to train on has no name.
        """
        arguments, overrides = _own_configs(arguments)
        names = [argument for argument in arguments if "=" not in argument and not argument.startswith("~")]
        if len(names) != 1 or names[0].startswith("-"):
            raise InputError(f"expected one table, got {' '.join(names) or 'none'}; tables are {', '.join(tables())}")
        options = cls(names[0], overrides=overrides)
        for argument in arguments:
            key, _, value = argument.partition("=")
            if remedy := REFUSED.get(key_of(argument)):
                raise InputError(f"{key}= is set by the table itself; {remedy}")
            if key in ("seeds", "jobs"):
                setattr(options, key, whole_number(key, value))
            elif key == "rows":
                options.rows = tuple(row for row in value.strip("[]").split(",") if row)
            elif key in ("output", "output_dir"):
                if not value:  # the current folder, it would be
                    raise InputError(f"{key}= has no value; expected {key}=FOLDER")
                options.output = Path(value)
            elif argument.startswith(TRAIN_DATA):
                options.train_data.append(argument.replace("train_data", "data", 1))
            elif argument != options.name:
                options.overrides.append(argument)
        if options.train_data and not any(argument.startswith("data=") for argument in options.train_data):
            raise InputError("train_data.KEY= sets something of train_data=NAME; name the data set to train on, too")
        return options


def tables() -> list[str]:
    """Names of the shipped specifications."""
    return sorted(path.stem for path in experiments_dir().glob("*.yaml"))


def load_table(name: str) -> Spec:
    """The specification of a table, by its name or by the path of its file.

    Raises:
        InputError: if there is none, with the names of those there are, or if a file of the user's own is wrong.
    """
    for path in (experiments_dir() / f"{name}.yaml", Path(name)):
        if path.is_file():
            try:
                return load_spec(path)
            except ValueError as error:
                raise InputError(str(error)) from error
    raise InputError(f"no table or figure {name!r}; there are {', '.join(tables())} (or give the path of a .yaml file)")


def _own_configs(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without `--config-dir FOLDER`, and the override by which the jobs find that folder."""
    rest, folder = list(arguments), None
    for index, argument in enumerate(arguments):
        if argument.partition("=")[0] == CONFIG_DIR:
            given = argument.partition("=")[2] if "=" in argument else "".join(arguments[index + 1 : index + 2])
            if not given:
                raise InputError(f"{CONFIG_DIR} has no value; expected {CONFIG_DIR} FOLDER, one of the form of conf/")
            folder = Path(given)
            del rest[index : index + (1 if "=" in argument else 2)]
    if folder is None:
        return rest, []
    if not folder.is_dir():
        raise InputError(f"{CONFIG_DIR}: no folder {str(folder)!r}; give one of the form of conf/")
    return rest, [f"hydra.searchpath=[{quoted(f'file://{folder.resolve()}')}]"]
