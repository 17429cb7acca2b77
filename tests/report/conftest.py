"""Hand-made results of a table; a parser of pages."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from memvos.report import load_spec

MEASURES = ("J", "J_recall", "J_decay", "F", "F_recall", "F_decay", "J&F", "J_present", "F_present", "J&F_present")


def write_result(folder: Path, row: str, seed: int, scores: dict, quality=None, pairs=(), **facts) -> Path:
    """Write one evaluation: `scores` is (video, object) → J&F as a ratio; the other measures follow from it."""
    folder = folder / f"seed{seed}"
    folder.mkdir(parents=True)
    lines = []
    for (video, object), value in scores.items():
        attributes = "occlusion;exit" if video.endswith("0") else "occlusion"
        measures = dict.fromkeys(MEASURES, value) | {"J": value - 0.02, "F": value + 0.02, "J&F_present": value - 0.1}
        lines.append({"video": video, "object": object, "frames": 30, **measures, "attributes": attributes})
    with (folder / "objects.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    with (folder / "quality.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video", "frame", "object", "quality", "iou", "stored", "evicted"])
        writer.writerows(["a", f"{i:05d}", 1, predicted, true, 1, ""] for i, (predicted, true) in enumerate(pairs))
    groups = {name: [line for line in lines if name in line["attributes"]] for name in ("occlusion", "exit")}
    content = {
        "schema": 1,
        "row": row,
        "seed": seed,
        "split": "test",
        "scale": "mini",
        "data": "synthetic",
        "difficulty": "easy",
        "scores": mean(lines, MEASURES),
        "attributes": {
            name: mean(group, ("J&F", "J&F_present")) | {"objects": len(group)}
            for name, group in groups.items()
            if group
        },
        "sequences": len({video for video, _ in scores}),
        "objects": len(scores),
        "frames": 30 * len(scores),
        "quality": quality,
        "memory": {"logit_std": 2.5, "frames_mean": 4.0},
        "speed": {"fps": 40.0},
        "provenance": {
            "fingerprint": "0123456789abcdef",
            "git": "a" * 40,
            "device": "x86_64",
            "precision": "bf16",
            "data": "feedfeed",
            "weights": {"path": "final.ckpt", "sha256": "b" * 64, "matched": 10, "missing": 0},
            "created": "2026-01-01T00:00:00+00:00",
        },
        **facts,
    }
    (folder / "result.json").write_text(json.dumps(content))
    return folder


def mean(lines, names):
    means = {name: float(np.mean([line[name] for line in lines])) for name in names}
    return {name: None if np.isnan(value) else value for name, value in means.items()}


@pytest.fixture
def spec():
    return load_spec(Path(__file__).parents[2] / "experiments/qdmn_table5.yaml")


def make_results(spec, root: Path, levels: dict[str, float], seeds=1, clips=20, skip=(), noise=0.03) -> Path:
    """Results of every evaluation of the table around a level of J&F by name of the evaluation (or of its row).

    Clips differ much (their difficulty is shared by all rows), rows by their level, and `noise` per clip and row.
    """
    difficulty = np.random.default_rng(0).normal(0, 0.1, clips)
    for number, evaluation in enumerate(spec.evaluations()):
        if evaluation.name in skip:
            continue
        level = levels.get(evaluation.name, levels.get(evaluation.row))
        for seed in range(min(seeds, evaluation.seeds or seeds)):
            random = np.random.default_rng((number, seed))
            scores = {
                (f"clip{c:02d}", object): float(np.clip(level + difficulty[c] + noise * random.normal(), 0.05, 0.95))
                for c in range(clips)
                for object in range(1, 2 + c % 2)
            }
            quality, pairs = {"stored_fraction": 0.2, "gated_fraction": 0.0}, []
            if evaluation.row in ("qam", "both") and evaluation.variant != "oracle_gate" and level == level:
                true = np.clip(random.normal(level, 0.2, 600), 0, 1)
                predicted = np.clip(0.3 + 0.6 * true + random.normal(0, 0.08, 600), 0, 1)
                pairs = zip(predicted.round(4), true.round(4), strict=True)
                quality |= {"spearman": 0.72, "pearson": 0.7, "ece": 0.08, "bias": 0.06, "mean": 0.71}
                quality["gated_fraction"] = 0.15
            write_result(root / evaluation.name, evaluation.row, seed, scores, quality, pairs)
    return root


@pytest.fixture
def results():
    """The function that writes results of every evaluation of a table."""
    return make_results


@pytest.fixture
def result():
    """The function that writes one result."""
    return write_result


class Page(HTMLParser):
    """Collects tags, attributes and the cells of a page, and checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.cells, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "h1"):
            self.cells.append(data)


@pytest.fixture
def parsed():
    """The class that reads a page of HTML."""
    return Page
