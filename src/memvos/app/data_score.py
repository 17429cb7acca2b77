"""`memvos data score` and `memvos data submission`: what to do with a folder of predicted masks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memvos.app import data
from memvos.app.arguments import split as split_options
from memvos.app.arguments import switch, whole_number
from memvos.app.runs import writable_folder
from memvos.errors import InputError

OPTIONS = ("split", "workers", "output", "equal")


def score(name: str, folder: str, arguments: Sequence[str]) -> int:
    """Score a folder of masks on a split of a data set, print the scores and write them as JSON and CSV."""
    from memvos.lit.folder_scores import score_folder
    from memvos.lit.result_files import scores_of, write_scores

    options, overrides = split_options(arguments, OPTIONS)
    split, equal = options.get("split", "test"), switch(options, "equal")
    tree = data.videos_of(name, split, overrides)
    workers = whole_number("workers", options["workers"]) if "workers" in options else None
    place = Path(folder) if Path(folder).name not in ("", "..") else Path(folder).resolve()  # ".": by its name
    output = Path(options.get("output", f"{place}_scores"))
    if Path(folder).is_dir():  # or score_folder says so, and nothing is left behind
        writable_folder(output, "output")
    objects = score_folder(tree, folder, workers, equal, progress=sys.stderr.isatty())
    result = {"data": name, "split": split, "fingerprint": tree.fingerprint(), "predictions": str(folder)}
    result |= {"protocol": tree.protocol, "sequences": len(tree.videos), **scores_of(objects, tree.seen)}
    write_scores(output, result, objects)
    print(lines(result, output))
    return 0


def lines(result: dict[str, Any], output: Path) -> str:
    """The scores in percent, and where the files are."""
    from memvos.lit.result_files import counts

    rows = [("mean", "J&F", "J", "F"), ("recall", None, "J_recall", "F_recall"), ("decay", None, "J_decay", "F_decay")]
    table = [f"{'':8}{'J&F':>8}{'J':>8}{'F':>8}"]
    for title, *keys in rows:
        table.append(f"{title:8}" + "".join(f"{100 * result['scores'][key]:8.2f}" if key else " " * 8 for key in keys))
    if "youtube" in result:
        table.append("  ".join(f"{key} {100 * value:.2f}" for key, value in result["youtube"].items()))
    where = f"{counts(output)} of {result['data']} {result['split']}"
    return "\n".join([*table, f"{where}, fingerprint {result['fingerprint']}; files in {output}"])


def submission(name: str, source: str, arguments: Sequence[str]) -> int:
    """Pack a folder of masks for a score server, or look over a packed one; 1 if anything is wrong with it."""
    from memvos.data.submission import pack, validate

    options, overrides = split_options([entry for entry in arguments if "=" in entry], ("split",))
    targets = [entry for entry in arguments if "=" not in entry]
    if "variant" in data.settings(name, overrides):
        overrides = [*overrides, "variant=6fps"]  # servers score the annotated rate
    tree = data.videos_of(name, options.get("split", "test"), overrides)
    file = Path(source)
    if file.is_dir():
        if len(targets) != 1:
            raise InputError("expected memvos data submission NAME FOLDER FILE.zip, to pack FOLDER into FILE.zip")
        file = pack(tree, file, targets[0])
    faults = validate(tree, file)
    verdict = f"{len(faults)} kind{'s' * (len(faults) > 1)} of fault" if faults else "ready to send"
    print(f"{file}: {verdict}")
    for fault in faults:
        print(f"  {fault}")
    return int(bool(faults))
