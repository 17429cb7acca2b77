"""Reads the results of a table: result.json, objects.csv and quality.csv of every row, variant and seed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from memvos.errors import InputError
from memvos.report.compare import Interval, paired, paired_bootstrap, recovery
from memvos.report.rank_correlation import rank_correlation
from memvos.report.spec import Evaluation, Spec

SCHEMA = 1
MASKS = "masks"
"""Where an evaluation keeps predicted masks, <video>/<frame>.png, if it is told to."""
ONE_OF_A_KIND = ("scale", "data", "difficulty", "split")
"""What all results of one table must share."""
COURSE = ("seconds", "memory_frames", "memory_mib", "resident_mib")
"""Columns of frames.csv that are shown over the frames of a video."""
REMEDY = "delete its folder and run again"


@dataclass(frozen=True)
class Result:
    """One evaluation of one seed.

    Attributes:
        folder: where it lies.
        content: result.json.
        objects: (video, object) → measure → ratio; the lines of objects.csv.
    """

    folder: Path
    content: dict[str, Any]
    objects: dict[tuple[str, str], dict[str, float]]

    @property
    def scores(self) -> dict[str, float | None]:
        """Means over objects, ratios."""
        return self.content["scores"]

    @property
    def provenance(self) -> dict[str, Any]:
        """How the result came about."""
        return self.content.get("provenance") or {}

    @cached_property
    def _scored(self) -> list[tuple[tuple[str, str], float, float]]:
        """((video, frame), predicted score, true IoU) of the lines of quality.csv where both are known."""
        lines = _lines(self.folder / "quality.csv", ("video", "frame"), ("quality", "iou"))
        known = (((line["video"], line["frame"]), line["quality"], line["iou"]) for line in lines)
        return [entry for entry in known if not math.isnan(entry[1] + entry[2])]

    @cached_property
    def quality_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Predicted score and true IoU (K,) of the frames and objects of quality.csv where both are known."""
        values = np.concatenate([np.empty((0, 2)), *self.pairs_by_video.values()])
        return values[:, 0], values[:, 1]

    @cached_property
    def pairs_by_video(self) -> dict[str, np.ndarray]:
        """Video → predicted score and true IoU of its masks (K, 2), of quality.csv where both are known."""
        videos: dict[str, list[list[float]]] = {}
        for (video, _), *pair in self._scored:
            videos.setdefault(video, []).append(pair)
        return {video: np.array(pairs) for video, pairs in videos.items()}

    @cached_property
    def frame_means(self) -> np.ndarray:
        """Mean predicted score and mean true IoU over the objects of every frame, (frames, 2)."""
        frames: dict[tuple[str, str], list[list[float]]] = {}
        for frame, *pair in self._scored:
            frames.setdefault(frame, []).append(pair)
        return np.array([np.mean(pairs, axis=0) for pairs in frames.values()]).reshape(-1, 2)

    @cached_property
    def course(self) -> dict[str, np.ndarray]:
        """Of the longest video: column of frames.csv → values by frame (T,); empty without that file."""
        lines = _lines(self.folder / "frames.csv", ("video",), COURSE)
        if not lines:
            return {}
        videos = [line["video"] for line in lines]
        longest = max(dict.fromkeys(videos), key=videos.count)
        own = [line for line in lines if line["video"] == longest]
        return {name: np.array([line[name] for line in own]) for name in COURSE}

    def value(self, *keys: str) -> float | None:
        """A number deep in result.json, None where it is null or missing: value("quality", "spearman")."""
        found: Any = self.content
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return None if found is None or math.isnan(found) else float(found)


class Results:
    """All results of a table that exist, by name of the evaluation (`<row>[__<variant>]`) and seed.

    Raises:
        ValueError: if a file cannot be read or belongs elsewhere, or if results of different scales, data,
            difficulties, splits or data fingerprints lie together.
    """

    def __init__(self, spec: Spec, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._floors = {floor.id for floor in spec.floors}
        self._results = {e.name: dict(_load_seeds(e, self.folder)) for e in spec.evaluations()}
        _refuse_mixture(list(self))

    def __iter__(self) -> Iterator[Result]:
        return (result for seeds in self._results.values() for result in seeds.values())

    def of(self, row: str, variant: str | None = None) -> dict[int, Result]:
        """Seed → result of one evaluation; empty where it was not run."""
        return self._results.get(f"{row}__{variant}" if variant else row, {})

    def points(self, row: str, variant: str | None, measure: str) -> dict[int, dict[tuple[str, str], float]]:
        """Seed → (video, object) → percent, as `compare` takes it; empty where it was not run."""
        return {
            seed: {item: 100 * values[measure] for item, values in result.objects.items()}
            for seed, result in self.of(row, variant).items()
        }

    def rank_correlation(self, row: str, variant: str | None) -> Interval | None:
        """Interval of Spearman of predicted scores and true IoU, of the runs whose quality.csv is there."""
        pairs = {seed: result.pairs_by_video for seed, result in self.of(row, variant).items()}
        return rank_correlation({seed: of_seed for seed, of_seed in pairs.items() if of_seed})

    def means(self, entries: Sequence[tuple[str, str | None]], measure: str) -> list[float]:
        """Of each (row, variant) the mean in percent, over the seeds that all have; over its own where none is."""
        points = [self.points(*entry, measure) for entry in entries]
        common = set.intersection(*(set(of_entry) for of_entry in points))
        scored = [[v for seed in common or of_entry for v in of_entry[seed].values()] for of_entry in points]
        return [float(np.nanmean(values)) for values in scored]

    def difference(self, first: tuple, second: tuple, measure: str) -> Interval | None:
        """Interval of `first` minus `second`, each (row, variant), in points; None if they share no seed or score.

        A floor is not trained: its one result is compared with every seed of the other.
        """
        a, b = self.points(*first, measure), self.points(*second, measure)
        if second[0] in self._floors:
            b = _for_seeds(b, a)
        elif first[0] in self._floors:
            a = _for_seeds(a, b)
        return paired_bootstrap(a, b) if set(a) & set(b) else None

    def recovered(
        self, row: str, variants: list[tuple[str | None, str | None, str | None]], measure: str
    ) -> Interval | None:
        """Part of what the best gate gains that another gate gains, over all (own, best, none) variants of a row.

        Over the seeds that all of them have; None if there is none.
        """
        seeds = set.intersection(*(set(self.of(row, variant)) for entry in variants for variant in entry))
        if not seeds:
            return None
        sums: tuple[dict, dict] = ({}, {})
        for *gates, none in variants:
            for total, gate in zip(sums, gates, strict=True):
                gained = paired(self.points(row, gate, measure), self.points(row, none, measure))
                for seed in sorted(seeds):
                    of_seed = total.setdefault(seed, {})
                    for item, gain in gained[seed].items():
                        of_seed[item] = of_seed.get(item, 0.0) + gain
        return recovery(*sums)


def _for_seeds(of_floor: dict[int, Any], seeds: Iterable[int]) -> dict[int, Any]:
    """The one result of a floor under every seed."""
    return {seed: points for points in list(of_floor.values())[:1] for seed in seeds}


def _load_seeds(evaluation: Evaluation, folder: Path) -> Iterator[tuple[int, Result]]:
    found = sorted((folder / evaluation.name).glob("seed*/result.json"), key=lambda path: (len(str(path)), path))
    for path in found:
        result = _load(path.parent)
        seed = result.content.get("seed")
        if result.content.get("row") not in (evaluation.row, evaluation.name) or path.parent.name != f"seed{seed}":
            got = f"row {result.content.get('row')!r}, seed {seed}"
            raise ValueError(f"{path} holds {got}, but lies in {evaluation.name}/{path.parent.name}; was it moved?")
        yield seed, result


def _load(folder: Path) -> Result:
    path = folder / "result.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); {REMEDY}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or not content.get("scores"):
        raise ValueError(f"{path}: expected `schema: {SCHEMA}` and scores; {REMEDY}")
    table = folder / "objects.csv"
    if not table.is_file():
        raise ValueError(f"{table} is missing beside result.json; delete the folder and run again")
    lines = _lines(table, ("video", "object"), [*content["scores"]])
    objects = {(line.pop("video"), line.pop("object")): line for line in lines}
    if len(objects) != content.get("objects"):
        raise ValueError(f"{table} has {len(objects)} objects, result.json counts {content.get('objects')}; {REMEDY}")
    result = Result(folder, content, objects)
    _check_mean(result)
    return result


def _check_mean(result: Result) -> None:
    """The two files must tell the same story."""
    for name, stated in result.scores.items():
        values = [values[name] for values in result.objects.values() if not math.isnan(values.get(name, math.nan))]
        if stated is not None and values and abs(stated - sum(values) / len(values)) > 1e-3:
            raise ValueError(
                f"{result.folder}: result.json says {name} = {stated:.4f}, the mean of objects.csv is "
                f"{sum(values) / len(values):.4f}; delete the folder and run again"
            )


def _refuse_mixture(results: list[Result]) -> None:
    """All results must share scale, data and the fingerprint of the data they were scored on."""
    for result in results[1:]:
        for name in ONE_OF_A_KIND:
            _refuse_difference(name, results[0], result, results[0].content.get(name), result.content.get(name))
        first, other = (one.provenance.get("data") for one in (results[0], result))
        _refuse_difference("data fingerprint", results[0], result, first, other)


def _refuse_difference(name: str, first: Result, other: Result, a: Any, b: Any) -> None:
    if a != b:
        raise ValueError(
            f"{first.folder} has {name} {a!r}, {other.folder} has {b!r}; one table holds one: "
            "give each its own output folder, or delete the older results"
        )


def _lines(path: Path, words: Sequence[str], numbers: Sequence[str]) -> list[dict[str, Any]]:
    """The lines of a CSV file, none where there is no file: the columns `words` as text, `numbers` NaN where empty.

    Raises:
        InputError: if the file is damaged: no text, a line that ends early, no such column, no number in one.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in (*words, *numbers) if name not in (reader.fieldnames or ())]:
                raise ValueError(f"there is no column {missing[0]!r}")
            return [_cells(line, words, numbers) for line in reader]
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path} is damaged ({error}); {REMEDY}") from error


def _cells(line: dict[str, str | None], words: Sequence[str], numbers: Sequence[str]) -> dict[str, Any]:
    if None in line.values():
        raise ValueError("a line ends early")
    return {name: line[name] for name in words} | {name: float(line[name] or "nan") for name in numbers}
