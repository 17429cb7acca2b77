"""`memvos import NAME SOURCE -o DESTINATION`: weights of other systems in, with an account of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from memvos.errors import InputError

if TYPE_CHECKING:
    from memvos.model.state_files import LoadReport

BACKBONE = "backbone"
ABOUT = """Convert weights (released .pth, training checkpoints, .safetensors) for the network NAME of conf/model. Every
tensor is accounted for: matched, renamed, missing, left out; what does not fit is an error. With the name "backbone"
only the query encoder's trunk of a memvos checkpoint is kept, in half precision, for model.backbone.weights=FILE."""


def run(arguments: list[str]) -> int:
    """Run the command line.

    Raises:
        InputError: if an argument is missing, or the destination cannot be written.
    """
    parser = _Parser("memvos import", description=ABOUT)
    parser.add_argument("name", metavar="NAME", help='a network of conf/model, e.g. qdmn, or "backbone"')
    parser.add_argument("source", metavar="SOURCE", help="the weights to convert")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="DESTINATION",
        help=".ckpt or .safetensors (memvos, with its configuration), or .pth (names of the released checkpoint)",
    )
    given = parser.parse_args(arguments)
    if not Path(given.output).absolute().parent.is_dir():
        raise InputError(f"{Path(given.output).parent} is no folder; choose another destination")
    from memvos.model.checkpoints import import_backbone, import_checkpoint

    convert = import_backbone if given.name == BACKBONE else lambda *paths: import_checkpoint(given.name, *paths)
    report = convert(given.source, given.output)
    print(report)
    print("\n".join(account(report)))
    print(f"written: {given.output}")
    return 0


def account(report: LoadReport) -> Iterator[str]:
    """A line per tensor of the weights and of the network: what became of it."""
    renamed = set(report.renamed.values())
    yield from (f"  matched: {name}" for name in sorted(set(report.matched) - renamed))
    yield from (f"  renamed: {old} -> {new}" for old, new in sorted(report.renamed.items()))
    yield from (f"  missing, as it starts: {name}" for name in sorted(report.missing))
    yield from (f"  left out: {name}" for name in sorted(report.unexpected))


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are those of memvos: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise InputError(f"{message}; see memvos import --help")
