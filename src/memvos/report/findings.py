"""What the numbers of a table mean, in sentences computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from memvos.report import sweeps
from memvos.report.compare import GAINS, LOSES, Interval
from memvos.report.content import (
    CONTRADICTED,
    FLOOR,
    GATE,
    HOLDS,
    OPEN,
    ORACLE,
    REFERENCE,
    ROW,
    VARIANT,
    Finding,
    Line,
    Table,
)
from memvos.report.results import MASKS

UNIFORM_READ, DEGENERATE_READ = 0.3, 25.0
"""Standard deviation of the memory read's logits below which attention is nearly uniform, above which it is one-hot."""


def find(table: Table) -> Iterator[Finding]:
    """Findings of a table, in the order a reader asks: does it help, could it, why, and does the paper's order hold."""
    yield from _missing(table)
    yield from _unscored(table)
    yield from _effects(table)
    yield from _gains(table)
    yield from _oracle(table)
    for line in table.of_kind(ROW):
        yield from _scores(line)
    yield from _read(table)
    yield from _order(table)
    yield from _orderings(table)
    yield from _floors(table)
    if table.spec.course:
        yield from _course(table)
    for sweep in table.spec.sweeps:
        yield from sweeps.find(table, sweep)
    yield from _seeds(table)


def _missing(table: Table) -> Iterator[Finding]:
    lines = [line for line in table.lines if line.kind != REFERENCE]
    if missing := [line.label for line in lines if not line.ran]:
        yield "Not run:", f"{len(missing)} of {len(lines)} lines were not run: {'; '.join(missing)}."


def _unscored(table: Table) -> Iterator[Finding]:
    """That the data has no public masks to score, and where the predicted ones are."""
    if not table.unscored:
        return
    kept = [run.folder for run in table.results if (run.folder / MASKS).is_dir()]
    where = "run again with write_masks=true, which writes the predicted masks"
    if kept:
        where = f"predicted masks are in {', '.join(str(folder / MASKS) for folder in kept)}"
    yield (
        "Nothing was scored:",
        f"{dict(table.header)['data']} has no public masks after the first frame of its videos; {where}, and pack them "
        "with memvos data submission for those who have the true ones.",
    )


def _effects(table: Table) -> Iterator[Finding]:
    """Difference of every row, and of the oracle gate, to the base row (a gated one is compared in `_oracle` only)."""
    for comparison in table.comparisons:
        if comparison.kind == ROW and comparison.interval:
            yield f"Effect of {comparison.label}:", _verdict(comparison.interval, comparison.against)
    base = table.line(table.spec.base)
    row = table.spec.row(table.spec.base)
    oracle = None if table.spec.ungated(row) else table.spec.oracle(row)
    if oracle and (interval := table.line(table.spec.base, oracle).difference):
        yield f"Effect of the oracle gate on {base.label}:", _verdict(interval, f"{base.label} without a gate")


def _gains(table: Table) -> Iterator[Finding]:
    """Whether rows gain on bases of their own as printed."""
    metric, spec = table.spec.main_metric, table.spec
    pairs = [(row, spec.row(row.base)) for row in spec.rows if row.base]
    printed_both = [(row, base) for row, base in pairs if metric in row.printed and metric in base.printed]
    known = [(row, base, d) for row, base in printed_both if (d := table.line(row.id).difference)]
    if not known:
        return
    printed = {row.id: row.printed[metric] - base.printed[metric] for row, base, _ in known}
    sure = sum(d.verdict == (GAINS if printed[row.id] > 0 else LOSES) for row, _, d in known)
    against = sum(d.verdict == (LOSES if printed[row.id] > 0 else GAINS) for row, _, d in known)
    parts = (f"{row.label} {d.in_points}, printed {printed[row.id]:+.1f}" for row, _, d in known)
    yield (
        "Do the paper's gains hold?",
        f"{sure} of {len(known)} beyond their interval; reversed beyond it: {against}. {_sentence('; '.join(parts))}",
    )


def _oracle(table: Table) -> Iterator[Finding]:
    """Whether the quality of the memory can matter at all: the oracle gate against no gate on the same network."""
    known = [c for c in table.comparisons if c.kind in (GATE, ORACLE) and c.interval]
    for comparison in known:
        text = _verdict(comparison.interval, "no gate on the same network")
        if (gated := table.line(*comparison.first).quality.get("gated_fraction")) is not None:
            text = f"{text[:-1]}; {gated:.0%} of the checks rejected."
        yield f"Gate of {comparison.label}:", text
    oracles = [c.interval for c in known if c.kind == ORACLE]
    if not oracles:
        return
    gaining = sum(interval.verdict == GAINS for interval in oracles)
    losing = sum(interval.verdict == LOSES for interval in oracles)
    lost = f", and loses on {losing}" if losing else ""
    best = max(oracles, key=lambda interval: interval.mean)
    if gaining:
        text = (
            f"Yes: a gate that knows the true IoU gains on {gaining} of {len(oracles)} networks (the most: "
            f"{best.in_points}){lost}, so a better quality score can show here."
        )
    else:
        text = (
            f"Not shown: at the same threshold a gate that knows the true IoU gains on none of {len(oracles)} networks "
            f"(the most: {best.in_points}){lost}. That is no upper bound, for a learned gate may reject less; but that "
            "what QAM predicts can decide the score here has not been shown."
        )
    yield "Can memory quality matter at this scale?", text


def _scores(line: Line) -> Iterator[Finding]:
    """Why a gate does what it does: order and level of the predicted scores, and how often it rejects."""
    quality = line.quality
    if "spearman" not in quality and "bias" not in quality:
        return
    parts = []
    if (rho := quality.get("spearman")) is not None:
        follows = ["do not follow", "follow weakly", "follow", "follow closely"][
            (rho >= 0.2) + (rho >= 0.5) + (rho >= 0.8)
        ]
        flat = f"; constant in {line.constant} of {len(line.seeds)} seeds" if line.constant else ""
        parts.append(f"the scores {follows} the true IoU (Spearman {line.spearman_text}{flat})")
    else:
        parts.append("the scores are constant (no rank correlation)")
    if (bias := quality.get("bias")) is not None:
        level = "right on average" if abs(bias) < 0.02 else "over-confident" if bias > 0 else "under-confident"
        parts.append(f"are {level} (bias {bias:+.2f})")
    if (gated := quality.get("gated_fraction")) is not None:
        acts = "hardly acts" if gated < 0.02 else "rejects nearly everything" if gated > 0.8 else "acts"
        parts.append(f"and the gate {acts} ({gated:.0%} of the checks rejected)")
    yield f"Quality scores of {line.label}:", f"{', '.join(parts)}."


def _read(table: Table) -> Iterator[Finding]:
    """Whether the memory is read at all, from the spread of the logits of the memory read."""
    lines = [line for line in table.of_kind(ROW) if "logit_std" in line.quality]
    for line in lines:
        spread = line.quality["logit_std"]
        if spread < UNIFORM_READ:
            text = f"nearly uniform (logit deviation {spread:.2f}): the memory is averaged, not read"
        elif spread > DEGENERATE_READ:
            text = f"degenerate (logit deviation {spread:.0f}): each pixel reads one place only"
        else:
            text = f"selective (logit deviation {spread:.1f})"
        yield f"Memory read of {line.label}:", f"attention is {text}."


def _order(table: Table) -> Iterator[Finding]:
    """Whether every pair of rows stands as in the paper, in the means and beyond their interval."""
    metric = table.spec.main_metric
    rows = [line for line in table.of_kind(ROW) if metric in line.scores and metric in line.printed]
    pairs = [sorted(pair, key=lambda line: -line.printed[metric]) for pair in combinations(rows, 2)]
    pairs = [(better, worse) for better, worse in pairs if better.printed[metric] != worse.printed[metric]]
    differences = [table.results.difference((a.row, None), (b.row, None), metric) for a, b in pairs]
    known = [interval for interval in differences if interval]
    if not known:
        return
    holds = sum(interval.mean > 0 for interval in known)
    sure, against = (sum(interval.verdict == verdict for interval in known) for verdict in (GAINS, LOSES))
    paper = " > ".join(line.label for line in sorted(rows, key=lambda line: -line.printed[metric]))
    means = table.results.means([(line.row, None) for line in rows], metric)
    ranked = sorted(zip(means, (line.label for line in rows), strict=True), key=lambda entry: -entry[0])
    here = " > ".join(label for _, label in ranked)
    verdict = "holds" if sure == len(known) else "is contradicted" if against else "is undecided"
    everything = [line for line in table.of_kind(ROW) if metric in line.printed]
    part = "" if len(rows) == len(everything) else f" among the {len(rows)} of {len(everything)} rows that were run"
    yield (
        "Does the paper's order hold?",
        f"It {verdict}{part}. Paper: {paper}. Here: {here}. Pairs of rows that stand as in the paper: {holds} of "
        f"{len(known)}, {sure} of them beyond their interval; reversed beyond it: {against}.",
    )


def _orderings(table: Table) -> Iterator[Finding]:
    """Which of the orderings that the table lists hold; those of rows that were not run are not counted."""
    if not table.orderings:
        return
    told = [f"Measured: {len(table.orderings)}"]
    for verdict in (HOLDS, CONTRADICTED, OPEN):
        pairs = [f"{item.better} > {item.worse}" for item in table.orderings if item.verdict == verdict]
        told.append(f"{verdict.capitalize()}: {len(pairs)}" + (f" ({'; '.join(pairs)})" if pairs else ""))
    yield "Which of the paper's orderings hold?", f"{'. '.join(told)}."


def _floors(table: Table) -> Iterator[Finding]:
    every = [c for c in table.comparisons if c.kind == FLOOR]
    known = [c for c in every if c.interval]
    if not known:
        return
    failing = [f"{c.label} over {c.against} ({c.interval.in_points})" for c in known if c.interval.verdict != GAINS]
    least = min(known, key=lambda c: c.interval.mean)
    which = ("trained row", "floor") if known == every else ("trained row that was run", "floor that was run")
    text = (
        f"Every {which[0]} beats every {which[1]}, by at least {least.interval.in_points} "
        f"({least.label}, {least.against})."
    )
    if failing:
        text = f"Not shown for {'; '.join(failing)}."
    yield "Do the trained rows beat the floors?", text


def _course(table: Table) -> Iterator[Finding]:
    """How time per frame and memory change between the beginning and the end of the longest video."""
    for row in table.lines:
        if not row.ran or row.kind not in (ROW, VARIANT):
            continue
        course = next(iter(table.results.of(row.row, row.variant).values())).course
        if not course:
            continue
        seconds, held, resident = course["seconds"], course["memory_frames"], course["resident_mib"]
        end, early = len(seconds), max(1, len(seconds) // 20)
        first, last = (1 / float(np.median(part)) for part in (seconds[early : 2 * early], seconds[-early:]))
        yield (
            f"A video of {end} frames, {row.label}:",
            f"{held[-1]:.0f} frames in memory at the end (at most {held.max():.0f}), "
            f"{course['memory_mib'][-1]:.1f} MiB of keys and values; "
            f"{first:.1f} frames per second in frames {early} to {2 * early}, {last:.1f} in the last {early}; "
            f"the process held {resident[2 * early - 1]:.0f} MiB at frame {2 * early}, {resident[-1]:.0f} at the end.",
        )


def _seeds(table: Table) -> Iterator[Finding]:
    known = [line for line in table.of_kind(ROW) if line.interval and not math.isnan(line.interval.low)]
    fewest = min((len(line.seeds) for line in known), default=0)
    left_out = "What the intervals leave out:"
    if fewest == 1:
        yield left_out, "with one seed they are over clips only; the spread between two trainings is not in them."
    elif 1 < fewest < 5:
        yield left_out, f"with {fewest} seeds the spread between two trainings is in them only roughly."


def _verdict(interval: Interval, against: str) -> str:
    """gains, +1.2 points [+0.3, +2.1] against baseline."""
    return f"{interval.verdict}, {interval.in_points} against {against}."


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
