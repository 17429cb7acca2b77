"""What earlier calls have finished, of one fingerprint: trainings, evaluations, videos that were segmented."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from memvos.app import provenance
from memvos.report.results import MASKS

FINAL = f"checkpoints/{provenance.FINAL}"
RESULT, OBJECTS = "result.json", "objects.csv"
SEGMENTATION, QUALITY, OVERLAY = "segmentation.json", "quality.csv", "overlay.mp4"
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


def is_segmented(folder: Path, mark: str, with_overlay: bool = False) -> bool:
    """Is the video of this fingerprint segmented, its files whole, and its overlay there where it is asked for?"""
    found = provenance.read(folder, SEGMENTATION)
    if (found.get("provenance") or {}).get("fingerprint") != mark or _lines_in(folder / QUALITY) != found["rows"]:
        return False
    has_overlay = found["overlay"] and (folder / OVERLAY).is_file()
    whole = all((folder / f"{name}.png").is_file() for name in _frames_in(folder / QUALITY))
    return whole and (has_overlay or not with_overlay)


def segmented(folder: Path, with_overlay: bool, record: Mapping[str, Any]) -> None:
    """Note that a video is segmented, by which `is_segmented` knows it.

    Args:
        folder: of its masks.
        with_overlay: there is an overlay of it.
        record: its provenance.
    """
    rows = _lines_in(folder / QUALITY)
    provenance.write(folder, {"rows": rows, "overlay": with_overlay, "provenance": record}, SEGMENTATION)


def _frames_in(path: Path) -> set[str]:
    """Names of the frames of a quality.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        return {line["frame"] for line in csv.DictReader(file)}


def _lines_in(path: Path) -> int | None:
    """Number of whole lines of a CSV file after the first; None without that file."""
    return max(0, path.read_bytes().count(b"\n") - 1) if path.is_file() else None
