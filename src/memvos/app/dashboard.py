"""`memvos dashboard`: save the W&B dashboard of a table, or of all runs of a project."""

from __future__ import annotations

from memvos.app.arguments import split
from memvos.app.options import load_table, tables
from memvos.errors import InputError, RunFailed

HELP = """usage: memvos dashboard [TABLE] [project=NAME] [entity=NAME] [over=KEY,KEY] [split=SPLIT]

Saves a dashboard of what logger=wandb has logged, as a new view of the project, and prints where it is.

  TABLE     show its runs alone, averaged over seeds, with its sweeps and its report (default: all runs of the project)
  project=  W&B project of the runs (default: memvos)
  entity=   user or team (default: yours)
  over=     keys of the configuration to draw the score over, e.g. over=memory.sigma,memory.beta after a -m sweep
  split=    test (default) or val

Tables: {names}"""
OPTIONS = {"project": "memvos", "entity": "", "over": "", "split": "test"}


def run(arguments: list[str]) -> int:
    """Run the command line.

    Raises:
        InputError: for an unknown argument or table, or where W&B has no key.
        RunFailed: if W&B does not take the dashboard.
    """
    if {"-h", "--help"} & set(arguments):
        print(HELP.format(names=", ".join(tables())))
        return 0
    given, names = split(arguments, OPTIONS)
    if len(names) > 1 or any("=" in name or name.startswith("-") for name in names):
        raise InputError(f"expected at most one table, and {'=, '.join(OPTIONS)}=; got {' '.join(names)}")
    spec = load_table(names[0]) if names else None
    import wandb

    from memvos.lit.loggers import has_key
    from memvos.report.dashboard import dashboard

    options = OPTIONS | given
    if not has_key():
        raise InputError(
            "W&B keeps dashboards on its server, and no key is set; set $WANDB_API_KEY or run `wandb login`"
        )
    try:
        entity = options["entity"] or wandb.Api().default_entity
        over = [key for key in options["over"].split(",") if key]
        print(dashboard(entity, options["project"], spec, over, options["split"]).save().url)
    except wandb.Error as error:
        raise RunFailed(f"W&B: {error}") from error
    return 0
