"""Tables of times: a benchmark measures the rows of a file with a `bench:`, where others are trained and scored."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from memvos.app import bench_modules, bench_speed
from memvos.app.bench_common import rounds_in
from memvos.app.runs import writable_folder
from memvos.errors import InputError
from memvos.report import timing
from memvos.report.spec import Spec

BENCHES = {"modules": bench_modules.measure, "speed": bench_speed.measure}
"""(table, Hydra overrides, rounds, folder for figures) → what was measured."""


def reproduce(spec: Spec, rows: Sequence[str], overrides: Sequence[str], output: Path | None) -> int:
    """Measure rows of a table, and its base; print them beside the paper's numbers, and write them.

    Raises:
        InputError: if there is no such benchmark, or `rounds=` is no positive number.
    """
    if spec.bench not in BENCHES:
        raise InputError(f"{spec.name} has bench: {spec.bench}; expected one of {', '.join(BENCHES)}")
    rounds, overrides = rounds_in(overrides)
    folder = writable_folder(output or Path("runs") / spec.name)
    chosen = replace(spec, rows=tuple(row for row in spec.rows if row.id in (*rows, spec.base)))
    measured = BENCHES[spec.bench](chosen, overrides, rounds, folder)
    files = timing.write(measured, folder)
    print(timing.to_text(measured))
    print("written: " + ", ".join(map(str, files)), file=sys.stderr)
    return 0
