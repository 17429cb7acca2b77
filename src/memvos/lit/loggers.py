"""Where metrics go: a CSV file that survives a resume, and W&B, which needs no account."""

from __future__ import annotations

import contextlib
import csv
import netrc
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from memvos.whole_file import whole_file

CLOUD = "api.wandb.ai"
"""The public server under the name that keys were saved by before it had another."""


class CsvLogger(Logger):
    """Write metrics.csv: one line per logged step, columns as they come up.

    When a training is resumed, lines from the step it goes on from are replaced and earlier ones kept.
    """

    def __init__(self, folder: str | Path) -> None:
        """Write to `folder`/metrics.csv."""
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._rows: list[dict[str, str]] | None = None
        self._columns: list[str] = ["step"]

    @property
    def name(self) -> str:
        """Nothing: the folder is the run."""
        return ""

    @property
    def version(self) -> str:
        """Nothing: the folder is the run."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run's configuration is in its .hydra folder."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Append a line; without the epoch, which means nothing here."""
        row = {"step": str(step), **{name: f"{float(value):.6g}" for name, value in metrics.items() if name != "epoch"}}
        if self._rows is None:
            self._rows = self._earlier(int(step or 0))
            self._write_all()
        new = [name for name in row if name not in self._columns]
        self._rows.append(row)
        if new:
            self._columns += new
            self._write_all()
        else:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                self._writer(file).writerow(row)

    def _earlier(self, step: int) -> list[dict[str, str]]:
        """Lines of an earlier run before `step`."""
        if not self.path.is_file():
            return []
        with self.path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            self._columns = list(reader.fieldnames or ["step"])
            return [row for row in reader if int(row["step"]) < step]

    def _write_all(self) -> None:
        with whole_file(self.path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
            writer = self._writer(file)
            writer.writeheader()
            writer.writerows(self._rows)

    def _writer(self, file: Any) -> csv.DictWriter:
        return csv.DictWriter(file, self._columns, restval="", lineterminator="\n")


@contextlib.contextmanager
def told(loggers: Sequence[Logger], settings: Mapping[str, Any]) -> Iterator[None]:
    """Tell loggers the whole configuration of a run, and afterwards W&B that it is over, and whether it went well."""
    for logger in loggers:
        logger.log_hyperparams(dict(settings))
    failed = 1
    try:
        yield
        failed = 0
    finally:
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                _finish(logger, failed)


@rank_zero_only
def _finish(logger: WandbLogger, exit_code: int) -> None:
    logger.experiment.finish(exit_code)


def wandb_logger(
    folder: str | Path, project: str = "memvos", group: str | None = None, name: str | None = None, **options: Any
) -> WandbLogger:
    """W&B, offline unless a key is set ($WANDB_API_KEY or ~/.netrc); $WANDB_MODE, where set, decides instead.

    Args:
        folder: the run's folder; resuming it continues the same W&B run.
        project: W&B project.
        group: the table that the run belongs to.
        name: the row.
        options: passed on to `WandbLogger`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    offline = "WANDB_MODE" not in os.environ and not has_key()
    run = f"{zlib.crc32(str(folder.resolve()).encode()):08x}"
    return WandbLogger(name, folder, run, offline, project=project, group=group, **options)


def has_key() -> bool:
    """Is a key for the server ($WANDB_BASE_URL) set, in $WANDB_API_KEY or in the netrc file ($NETRC, ~/.netrc)?"""
    if os.environ.get("WANDB_API_KEY"):
        return True
    import wandb

    own = os.environ.get("WANDB_BASE_URL")
    hosts = [urlsplit(own or wandb.Settings().base_url).netloc, *(() if own else (CLOUD,))]
    try:
        known = netrc.netrc(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return False
    return any(known.authenticators(host) for host in hosts)
