"""What earlier calls have finished: trainings by their weights, evaluations by their results, of one fingerprint."""

from __future__ import annotations

from pathlib import Path
from zipfile import is_zipfile

from memvos.app import provenance
from memvos.report.results import MASKS

FINAL = f"checkpoints/{provenance.FINAL}"
RESULT, OBJECTS = "result.json", "objects.csv"
STALE = f"stale_{RESULT}"
"""A result of another configuration, code or data than is planned; no report counts it."""


def is_trained(folder: Path, mark: str) -> bool:
    """Is the training of this fingerprint finished, and its file of weights not cut off?"""
    record = provenance.read(folder)
    return record.get("fingerprint") == mark and "finished" in record and is_zipfile(folder / FINAL)


def is_evaluated(folder: Path, mark: str, with_masks: bool = False, result: str = RESULT) -> bool:
    """Is the evaluation of this fingerprint there, whole, and its masks where they are asked for?"""
    found = provenance.read(folder, result)
    record = found.get("provenance") or {}
    has_masks = (folder / MASKS).is_dir() and record.get("config", {}).get("write_masks")
    lines = {OBJECTS: found.get("objects", 0), **found.get("lines", {})}
    whole = record.get("fingerprint") == mark and all(_lines_in(folder / name) == lines[name] for name in lines)
    return whole and (not with_masks or bool(has_masks))


def _lines_in(path: Path) -> int | None:
    """Number of whole lines of a CSV file after the first; None without that file."""
    return max(0, path.read_bytes().count(b"\n") - 1) if path.is_file() else None
