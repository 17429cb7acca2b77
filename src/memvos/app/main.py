"""The `memvos` command: finds the subcommand, runs it, turns what a user can put right into one line.

Exit codes: 0 done, 1 a check found faults (or a run failed, or at scale=paper a result misses the table's tolerance),
2 bad input, 130 interrupted. Importing this module must stay cheap: a subcommand imports what it needs when it runs.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

from memvos.errors import RunFailed

COMMANDS = {
    "train": "train a model (Hydra overrides; -m runs a sweep)",
    "evaluate": "score a trained model, or a floor, on a data set (Hydra overrides; -m runs a sweep)",
    "reproduce": "train and evaluate every row of a table of a paper, and print it beside the paper's numbers",
    "segment": "segment a video from the mask of its first frame",
    "data": "check, prepare or fetch a data set, score masks of it, or render the embedded benchmark",
    "dashboard": "save the W&B dashboard of a table, or of a sweep",
    "import": "convert released weights, with a report of what was matched",
    "bench": "measure training and inference speed on this machine",
}
MODULES = {"import": "import_weights"}  # `import` cannot be the name of a module
USAGE = "usage: memvos COMMAND [ARGUMENTS]    (memvos COMMAND --help says more)"
START = (
    "  memvos reproduce qdmn_table5 scale=smoke",
    "  memvos segment clip.mp4 --masks first.png --out out/ --model matching_medium memory=first_previous",
)
INTERRUPTED = 130
JOB = "MEMVOS_JOB"
"""Environment variable that says: this process is a job of a run, which stops it by an interrupt."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code."""
    if arguments is not None:
        sys.argv = [sys.argv[0], *arguments]
    if os.environ.pop(JOB, None):  # a run in the background of a shell ignores interrupts, and hands that down
        signal.signal(signal.SIGINT, signal.default_int_handler)
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"memvos {_version()}")
        return 0
    if name not in COMMANDS:
        return _fail(f"no command {name!r}; commands are {', '.join(COMMANDS)}")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    return run(name, rest)


def run(name: str, arguments: list[str]) -> int:
    """Run a subcommand; with MEMVOS_DEBUG=1 exceptions pass through with their traceback."""
    try:
        return importlib.import_module(f"memvos.app.{MODULES.get(name, name)}").run(arguments) or 0
    except SystemExit as leave:  # after --help and its like
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except KeyboardInterrupt as interrupt:
        print(
            f"memvos {name}: interrupted. {str(interrupt) or 'Nothing was lost; the same command starts again.'}",
            file=sys.stderr,
        )
        return INTERRUPTED
    except RunFailed as failure:
        print(f"memvos {name}: {failure}", file=sys.stderr)
        return 1
    except Exception as error:
        from memvos.app.faults import explain

        message = explain(error)
        if message is None or os.environ.get("MEMVOS_DEBUG") == "1":
            raise
        return _fail(f"{name}: {message}")


def usage() -> str:
    """The text of `memvos --help`."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{text}" for name, text in COMMANDS.items()]
    return "\n".join([USAGE, "", *lines, "", "start here:", *START])


def _fail(message: str) -> int:
    print(f"memvos {message}", file=sys.stderr)
    return 2


def _version() -> str:
    from importlib.metadata import version

    return version("memvos")
