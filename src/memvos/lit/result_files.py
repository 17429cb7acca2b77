"""The files of one evaluation: result.json, objects.csv, quality.csv, frames.csv; the scores of finished videos."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from memvos.decode.writers import QUALITY_COLUMNS
from memvos.lit.recall_watch import LEAST
from memvos.lit.video_scores import PART_FORM, VideoScores
from memvos.metrics import MEASURES, ObjectScore, calibration, pearson, seen_unseen, spearman, summarise
from memvos.whole_file import whole_file

OBJECT_COLUMNS = ("video", "object", "frames", *MEASURES, "attributes", "category")
FRAME_COLUMNS = ("video", "frame", "seconds", "memory_frames", "memory_mib", "resident_mib")
QUALITY, FRAMES = "quality.csv", "frames.csv"
OF_FRAMES = {QUALITY: "quality", FRAMES: "course"}
"""Files with lines for every frame, and what of `VideoScores` they hold."""
OF_ATTRIBUTES = ("J&F", "J&F_present", "objects")


def scores_of(objects: Iterable[ObjectScore], seen: Sequence[str] = ()) -> dict[str, Any]:
    """The entries of result.json that follow from the objects' scores; `seen`: categories of the training set."""
    objects = list(objects)
    summary = summarise(objects)
    groups = {"attributes": summary.attributes, "categories": summary.categories}
    parts = {
        kind: {name: {m: values[m] for m in OF_ATTRIBUTES} for name, values in found.items()}
        for kind, found in groups.items()
        if found or kind == "attributes"
    }
    youtube = {"youtube": seen_unseen(objects, seen)} if seen else {}
    return {"scores": summary.scores, **youtube, **parts, "objects": summary.objects, "frames": summary.frames}


def summary_of(parts: Sequence[VideoScores], predicts_quality: bool, seen: Sequence[str] = ()) -> dict[str, Any]:
    """Everything in result.json that follows from the videos' scores; ratios, None where nothing is defined.

    `lines` counts those of the files with lines for every frame, to tell whether they are whole.
    """
    seconds, frames = sum(part.seconds for part in parts), sum(part.frames for part in parts)
    spreads = [part.logit_std for part in parts if part.logit_std is not None]
    held = sum(part.memory_frames * part.frames for part in parts)
    return _without_nan(
        {
            **scores_of((score for part in parts for score in part.objects), seen),
            "sequences": len(parts),
            "quality": _quality(parts, predicts_quality),
            "memory": {
                "logit_std": float(np.mean(spreads)) if spreads else None,
                "frames_mean": held / frames,
                "mib_most": max((line.memory_mib for part in parts for line in part.course), default=None),
            },
            "proposals": _proposals(parts),
            "speed": {"fps": frames / seconds if seconds else None},
            "lines": {name: sum(len(getattr(part, of)) for part in parts) for name, of in OF_FRAMES.items()},
        }
    )


def _proposals(parts: Sequence[VideoScores]) -> dict[str, float] | None:
    """Recall of the proposals a model chose from; None for models without."""
    objects = sum(part.coverable for part in parts)
    covered = [sum(counts) for counts in zip(*(part.covered for part in parts), strict=True)]
    return {f"recall@{iou}": n / objects for iou, n in zip(LEAST, covered, strict=True)} if objects else None


def _quality(parts: Sequence[VideoScores], predicted: bool) -> dict[str, float | None]:
    """How good the scores are, and what the gate did with them."""
    pairs = [(line.quality, line.iou) for part in parts for line in part.quality if line.iou is not None]
    counts = ("predicted", "checked", "stored", "corrupted", "corrupted_stored")
    frames, checked, stored, corrupted, harm = (sum(getattr(part, name) for part in parts) for name in counts)
    shares = {
        "stored_fraction": _share(stored, frames),
        "gated_fraction": _share(checked - stored, checked),
        "gated_clean_fraction": _share((checked - corrupted) - (stored - harm), checked - corrupted),
        "gated_corrupted_fraction": _share(corrupted - harm, corrupted),
    }
    if not predicted or not pairs:
        return dict.fromkeys(("spearman", "pearson", "ece", "bias", "mean")) | shares
    scores, truth = (np.array(values, float) for values in zip(*pairs, strict=True))
    curve = calibration(scores, truth)
    return {
        "spearman": spearman(scores, truth),
        "pearson": pearson(scores, truth),
        "ece": curve.ece,
        "bias": curve.bias,
        "mean": float(scores.mean()),
        **shares,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def write_results(folder: Path, result: dict[str, Any], parts: Sequence[VideoScores], predicts_quality: bool) -> None:
    """Write the files, result.json last: where it is, the evaluation is complete."""
    unknown = {} if predicts_quality else {"quality": ""}
    quality = (
        {**vars(line), "stored": int(line.stored), "evicted": ";".join(map(str, line.evicted)), **unknown}
        for part in parts
        for line in part.quality
    )
    frames = (
        {"video": part.objects[0].video, **{name: f"{value:.7g}" for name, value in vars(line).items()}}
        for part in parts
        for line in part.course
    )
    _replace(folder / FRAMES, lambda file: _write_csv(file, FRAME_COLUMNS, frames))
    _replace(folder / QUALITY, lambda file: _write_csv(file, QUALITY_COLUMNS, quality))
    write_scores(folder, result, [score for part in parts for score in part.objects])


def write_scores(folder: Path, result: dict[str, Any], scores: Sequence[ObjectScore]) -> None:
    """Write objects.csv, sequences.csv, attributes.csv and categories.csv (where there are any), and result.json.

    Of an earlier result in the folder, on other data, no table is left.
    """
    rows = [score.as_row() for score in scores]
    _replace(folder / "objects.csv", lambda file: _write_csv(file, OBJECT_COLUMNS, rows))
    summary = summarise(scores)
    sequences = {name: {"objects": "", **values} for name, values in summary.sequences.items()}
    for row in rows:
        sequences[row["video"]]["objects"] = int(sequences[row["video"]]["objects"] or 0) + 1
    tables = {
        "sequences.csv": ("sequence", sequences),
        "attributes.csv": ("attribute", summary.attributes),
        "categories.csv": ("category", summary.categories),
    }
    for name, (kind, table) in tables.items():
        if not table:
            (folder / name).unlink(missing_ok=True)
        else:
            lines = [{kind: entry, **values} for entry, values in table.items()]
            _replace(folder / name, partial(_write_csv, columns=(kind, "objects", *MEASURES), rows=lines))
    _replace(folder / "result.json", lambda file: file.write(json.dumps(_without_nan(result), indent=2) + "\n"))


def counts(folder: Path) -> str:
    """How many objects of how many videos objects.csv has, for people; how many are scored where some are not."""
    with (folder / "objects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    scored = [row for row in rows if int(row["frames"])]  # the others have no frame that counts
    videos, scored_videos = (len({row["video"] for row in part}) for part in (rows, scored))
    if len(scored) in (0, len(rows)):
        return f"{len(rows)} objects in {videos} videos"
    return f"{len(rows)} objects ({len(scored)} scored) in {videos} videos ({scored_videos} scored)"


def write_part(path: Path, scores: VideoScores, key: str) -> None:
    """Keep the scores of one finished video."""
    content = json.dumps({"key": key, "form": PART_FORM, "scores": _without_nan(scores.as_plain())})
    _replace(path, lambda file: file.write(content))


def read_part(path: Path, key: str) -> VideoScores | None:
    """Scores of a finished video; None if there are none, or they belong to other weights, settings or versions."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None  # not ours, or damaged: scored again and replaced
    ours = isinstance(content, dict) and (content.get("key"), content.get("form")) == (key, PART_FORM)
    return VideoScores.from_plain(content["scores"]) if ours else None


def _write_csv(file: Any, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if _is_nan(value) else value for name, value in row.items()})


def _replace(path: Path, write: Any) -> None:
    with whole_file(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        write(file)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: None instead, everywhere."""
    if isinstance(value, dict):
        return {name: _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if _is_nan(value) else value
