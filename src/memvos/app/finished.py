"""What earlier calls have finished: trainings by their weights, evaluations by their results, of one fingerprint."""

from __future__ import annotations

from pathlib import Path

from memvos.app import provenance
from memvos.report.results import MASKS

FINAL = f"checkpoints/{provenance.FINAL}"
RESULT, OBJECTS = "result.json", "objects.csv"
STALE = f"stale_{RESULT}"
"""A result of another configuration, code or data than is planned; no report counts it."""


def is_trained(folder: Path, mark: str) -> bool:
    """Is the training of this fingerprint finished?"""
    record = provenance.read(folder)
    return record.get("fingerprint") == mark and "finished" in record and (folder / FINAL).is_file()


def is_evaluated(folder: Path, mark: str, with_masks: bool = False, result: str = RESULT) -> bool:
    """Is the evaluation of this fingerprint there, whole, and its masks where they are asked for?"""
    found = provenance.read(folder, result)
    record = found.get("provenance") or {}
    has_masks = (folder / MASKS).is_dir() and record.get("config", {}).get("write_masks")
    whole = record.get("fingerprint") == mark and _objects_in(folder) == found.get("objects", 0)
    return whole and (not with_masks or bool(has_masks))


def _objects_in(folder: Path) -> int | None:
    """Number of objects in objects.csv, whole lines after the first; None without that file."""
    path = folder / OBJECTS
    return max(0, path.read_bytes().count(b"\n") - 1) if path.is_file() else None
