"""`memvos import NAME SOURCE DESTINATION`: weights of other systems and their releases in, with an account of them."""

from __future__ import annotations

from pathlib import Path

from memvos.errors import InputError

HELP = """usage: memvos import NAME SOURCE DESTINATION

Converts weights (released .pth, training checkpoints, .npz) for the network NAME (of conf/model). DESTINATION ends in
.ckpt or .safetensors (memvos, with its configuration) or .pth (names of the released checkpoint). Every tensor is
accounted for: matched, renamed, missing, unexpected; what does not fit is an error."""


def run(arguments: list[str]) -> int:
    """Run the command line.

    Raises:
        InputError: if the arguments are not three, or the destination cannot be written.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0 if arguments else 2
    if len(arguments) != 3:
        raise InputError(f"expected memvos import NAME SOURCE DESTINATION, got {len(arguments)} arguments")
    name, source, destination = arguments
    if not Path(destination).absolute().parent.is_dir():
        raise InputError(f"{Path(destination).parent} is no folder; choose another destination")
    from memvos.model.checkpoints import import_checkpoint

    report = import_checkpoint(name, source, destination)
    print(report)
    for old, new in sorted(report.renamed.items()):
        print(f"  {old} -> {new}")
    print(f"written: {destination}")
    return 0
