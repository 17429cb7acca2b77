"""What a table holds once it is built: lines, comparisons, swept points, bins of quality scores, findings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from memvos.report.compare import GAINS, LOSES, Interval
from memvos.report.results import Results
from memvos.report.spec import Spec

NOT_RUN, NOT_SCORED = "not run", "not scored"
ROW, VARIANT, FLOOR, REFERENCE = "row", "variant", "floor", "reference"
GATE, ORACLE = "gate", "oracle"
GRIDS, FIGURES = "report/grid", "report/figure"
"""Beginnings of the keys under which W&B has the grids and the figures of a report."""
RECALLS = ("recall@0.5", "recall@0.7")
"""Share of true objects that a proposal covers at a mask IoU of so much, in result.json's `proposals` (DMN-AOA)."""


@dataclass(frozen=True)
class Value:
    """Mean over seeds, and their standard deviation where there is more than one; the unit of the source."""

    mean: float
    std: float | None = None


@dataclass(frozen=True)
class Line:
    """One line of the table: a row of the paper, another evaluation of it, or a floor.

    Attributes:
        kind: "row", "variant", "floor" or "reference" (only printed in the paper).
        row, variant: ids; variant is None for rows and floors.
        scores: measure → percent, over seeds; empty where nothing ran.
        attributes: attribute → main metric in percent; present: the same where the object is visible.
        quality: calibration of the predicted scores, what the memory did, recall of proposals (result.json's numbers).
        interval: the main metric with its bootstrap interval in points; None where nothing was scored.
        difference: the main metric minus that of its base row, with its interval; None for the table's base row itself.
        seeds: which were run.
        spearman: that of `quality` with its interval; None without quality.csv.
        constant: number of them whose predicted scores are all equal, so that no rank correlation is known.
    """

    kind: str
    row: str
    variant: str | None
    label: str
    marks: dict[str, bool] = field(default_factory=dict)
    printed: dict[str, float] = field(default_factory=dict)
    scores: dict[str, Value] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)
    present: dict[str, Value] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    interval: Interval | None = None
    difference: Interval | None = None
    seeds: tuple[int, ...] = ()
    spearman: Interval | None = None
    constant: int = 0

    @property
    def ran(self) -> bool:
        """Whether there is any result."""
        return bool(self.seeds)

    @property
    def spearman_text(self) -> str | None:
        """Rank correlation of the predicted scores with the true IoU, with its interval where it is known."""
        if (rho := self.quality.get("spearman")) is None:
            return None
        known = self.spearman is not None and not math.isnan(self.spearman.low)
        return f"{rho:.2f} [{self.spearman.low:.2f}, {self.spearman.high:.2f}]" if known else f"{rho:.2f}"

    def miss(self, measure: str) -> float | None:
        """Measured minus printed in points; None where either is missing."""
        if measure not in self.scores or measure not in self.printed:
            return None
        return self.scores[measure].mean - self.printed[measure]


@dataclass(frozen=True)
class SweptPoint:
    """One point of a sweep; interval None where it was not run or not scored.

    Attributes:
        sweep: id of the sweep; curve: id of the curve; value: of the swept setting, None for no limit.
        interval: the main metric in percent.
        gain: the main metric minus that of what the sweep is `against`, in points.
        measures: the sweep's further measures.
    """

    sweep: str
    curve: str
    value: float | int | None
    interval: Interval | None
    gain: Interval | None
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """A difference of the main metric in points; interval None: one of the two was not run or not scored.

    `first`: the (row, variant) that is compared.
    `kind`: "row" (to the base row), "gate" or "oracle" (to no gate, on the same network), "floor" (a row to a floor).
    """

    kind: str
    label: str
    against: str
    interval: Interval | None
    first: tuple[str, str | None]


HOLDS, CONTRADICTED, OPEN = "holds", "contradicted", "undecided"


@dataclass(frozen=True)
class Ordering:
    """A row that the paper places above another, or level with it, both of which were run; labels.

    `interval`: the main metric, better minus worse, in points; `printed`: the same of the paper, None where it does not
    print both.
    """

    better: str
    worse: str
    interval: Interval
    printed: float | None

    @property
    def verdict(self) -> str:
        """Whether all of the interval is on the paper's side, or on the other."""
        return {GAINS: HOLDS, LOSES: CONTRADICTED}.get(self.interval.verdict, OPEN)


@dataclass(frozen=True)
class QualityBins:
    """One row's predicted scores and true IoU in 20 bins; arrays are (20,), shares sum to 1.

    Attributes:
        row, label: whose.
        count: pairs of object and frame whose predicted score lies in the bin.
        true: mean true IoU of those pairs, NaN in an empty bin.
        predicted_frames, true_frames: share of frames whose mean predicted score, mean true IoU lies in the bin: the
            paper's histogram, where several objects in a frame are averaged.
    """

    row: str
    label: str
    count: np.ndarray
    true: np.ndarray
    predicted_frames: np.ndarray
    true_frames: np.ndarray


Finding = tuple[str, str]
"""Heading and sentence."""


@dataclass(frozen=True)
class Table:
    """A table ready to be written; `header` names what it was measured on, `findings` say what the numbers mean."""

    spec: Spec
    results: Results
    header: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    comparisons: tuple[Comparison, ...]
    swept: tuple[SweptPoint, ...]
    bins: tuple[QualityBins, ...]
    orderings: tuple[Ordering, ...] = ()
    findings: tuple[Finding, ...] = ()

    def line(self, row: str, variant: str | None = None) -> Line:
        """The line of a row, one of its variants, or a floor."""
        return next(line for line in self.lines if (line.row, line.variant) == (row, variant))

    def points(self, sweep: str, curve: str) -> list[SweptPoint]:
        """The points of a curve, in the order of the sweep's values."""
        return [point for point in self.swept if (point.sweep, point.curve) == (sweep, curve)]

    def of_kind(self, kind: str) -> list[Line]:
        """The lines of a kind, in order."""
        return [line for line in self.lines if line.kind == kind]

    @property
    def unscored(self) -> bool:
        """Whether all that ran has predictions only: the data has no masks after the first frame."""
        runs = list(self.results)
        return bool(runs) and all(run.value("scores", self.spec.main_metric) is None for run in runs)

    @property
    def attributes(self) -> dict[str, int]:
        """Attribute → number of objects that have it, sorted by name."""
        found = {}
        for result in self.results:
            for name, values in (result.content.get("attributes") or {}).items():
                found[name] = max(found.get(name, 0), values.get("objects") or 0)
        return dict(sorted(found.items()))

    @property
    def misses(self) -> list[str]:
        """Rows further from the paper than the tolerance of scale and data allows, one sentence each."""
        scale = next((result.content.get("scale") for result in self.results), None)
        allowed = self.spec.tolerance.get(scale or "")
        if allowed is None:
            return []
        metric = self.spec.main_metric
        off = [(line, line.miss(metric)) for line in self.of_kind(ROW)]
        return [
            f"{line.label}: {metric} {line.scores[metric].mean:.1f}, printed {line.printed[metric]}, "
            f"differs by {miss:+.1f} points; scale {scale} allows {allowed}"
            for line, miss in off
            if miss is not None and abs(miss) > allowed
        ]
