"""`memvos reproduce NAME`: train and evaluate every row of a table, and print it beside the paper's numbers."""

from __future__ import annotations

import os

from memvos.app import processes
from memvos.app.options import Options, tables

HELP = """usage: memvos reproduce NAME [scale=SCALE] [data=DATA] [OPTION=VALUE ...] [HYDRA OVERRIDES ...]

Trains and evaluates every row of experiments/NAME.yaml (or of a file NAME), and writes runs/NAME/table.csv, .md, .html.
What is done already is not done again; after Ctrl-C the same command goes on.

  scale=   smoke (plumbing), mini (default), small, paper
  data=    synthetic (default, needs nothing), davis2016, ...; data.root=FOLDER says where it is
  train_data=   other data to train on, and train_data.KEY=VALUE keys of its configuration
  seeds=   how many seeds, 0 to N-1 (default: the table's for the scale)
  jobs=    how many jobs at a time (default: one per CUDA device, or trainer.devices=N of them, or per core)
  rows=    only these, e.g. rows=baseline,qam (floors by their names, too)
  rounds=  of a table of times: how often everything takes its turn
  output=  where everything goes (default: runs/NAME)
  --config-dir FOLDER   configurations of your own, in a folder of the form of conf/ (models, data sets)

Everything else goes to the jobs, to train or evaluate or both, wherever it is a key of theirs.
Tables: {names}"""


def run(arguments: list[str]) -> int:
    """Run the command line; 1 if a job failed, or a result misses the table's tolerance for its scale."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP.format(names=", ".join(tables())))
        return 0 if arguments else 2
    options = Options.parse(arguments)
    os.environ.update(processes.THREADS)  # before torch is imported: forked jobs inherit it
    from memvos.app.table_run import reproduce

    return reproduce(options)
