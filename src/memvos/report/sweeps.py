"""Sweeps: one network evaluated over the values of one setting, and what they show."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from memvos.report.compare import GAINS, Interval, bootstrap
from memvos.report.content import Finding, SweptPoint, Table
from memvos.report.entries import MEASURES, Curve, Sweep
from memvos.report.results import Results
from memvos.report.spec import Spec


def points(spec: Spec, results: Results) -> Iterator[SweptPoint]:
    """Every curve of every sweep at every value, and its difference to what the sweep is against."""
    for sweep in spec.sweeps:
        for curve in sweep.curves:
            for value in sweep.values:
                yield _point(spec, results, sweep, curve, value)


def _point(spec: Spec, results: Results, sweep: Sweep, curve: Curve, value: float | int | None) -> SweptPoint:
    here = (sweep.row, sweep.variant(curve, value))
    scores = results.points(*here, spec.main_metric)
    other = _reference(sweep, curve, value)
    gain = None if other in (None, here) else results.difference(here, other, spec.main_metric)
    measures = {}
    for name in sweep.also:
        known = [run.value(MEASURES[name][0], name) for run in results.of(*here).values()]
        measures |= {name: fmean(known)} if known and None not in known else {}
    return SweptPoint(sweep.id, curve.id, value, bootstrap(scores), gain, measures)


def _reference(sweep: Sweep, curve: Curve, value: float | int | None) -> tuple[str, str | None] | None:
    """(row, variant) of what a point is compared with; None where the sweep is against nothing."""
    if "curve" in sweep.against:
        return sweep.row, sweep.variant(_curve(sweep, sweep.against["curve"]), value)
    if "value" in sweep.against:
        return sweep.row, sweep.variant(curve, sweep.against["value"])
    return None


def reference_label(sweep: Sweep) -> str:
    """What a sweep is against, in words."""
    if "curve" in sweep.against:
        return _curve(sweep, sweep.against["curve"]).label
    return value_text(sweep.against["value"]) if "value" in sweep.against else ""


def value_text(value: float | int | None) -> str:
    """The value of a setting; None is no limit."""
    return "none" if value is None else f"{value:g}"


def gates(spec: Spec, sweep: Sweep) -> tuple[Curve, Curve, Curve] | None:
    """The row's own gate, the oracle's, and no gate; None unless the sweep has a curve of each."""
    row = spec.row(sweep.row)
    of = {curve.variant: curve for curve in sweep.curves}
    wanted = (None, spec.oracle(row), spec.ungated(row))
    return tuple(of[variant] for variant in wanted) if len(set(wanted)) == 3 and set(wanted) <= set(of) else None


def recovered(table: Table, sweep: Sweep) -> tuple[list[float | int], Interval | None] | None:
    """The values at which all three gates ran, and the part of the oracle's gains that the row's own gate reaches.

    The part, a ratio, is taken over the values where the oracle gains beyond its interval, and over the seeds that all
    gates have at all of these; None where there is none.
    None altogether where the sweep does not compare the three gates, or no value has all of them.
    """
    found = gates(table.spec, sweep)
    if found is None:
        return None
    own, oracle, ungated = found
    gains = {(curve.id, p.value): p.gain for curve in found for p in table.points(sweep.id, curve.id)}
    values = [value for value in sweep.values if value and gains[own.id, value] and gains[oracle.id, value]]
    won = [value for value in values if gains[oracle.id, value].verdict == GAINS]
    if not values:
        return None
    if not won:
        return values, None
    variants = [tuple(sweep.variant(curve, value) for curve in (own, oracle, ungated)) for value in won]
    return values, table.results.recovered(sweep.row, variants, table.spec.main_metric)


def find(table: Table, sweep: Sweep) -> Iterator[Finding]:
    """What a sweep shows: how much the gates win back where it compares them, else the best and the worst value."""
    return _recovery(table, sweep) if gates(table.spec, sweep) else _swept(table, sweep)


def _recovery(table: Table, sweep: Sweep) -> Iterator[Finding]:
    """Of what the oracle gate wins back under corrupted masks, the part the row's own gate wins back."""
    found = recovered(table, sweep)
    if found is None:
        return
    values, part = found
    own, oracle, _ = gates(table.spec, sweep)
    gains = {(point.curve, point.value): point.gain for point in table.swept if point.sweep == sweep.id}
    won = ", ".join(str(value) for value in values if gains[oracle.id, value].verdict == GAINS)
    if not won:
        verdict = "The oracle gate wins back nothing beyond its interval, so the experiment decides nothing"
    elif part is None:
        verdict = f"No seed has been scored with all gates at all rates ({won} %) where the oracle gate wins back"
    else:
        verdict = (
            f"The {own.label} recovers {part.mean:.0%} [{part.low:.0%}, {part.high:.0%}] of what the {oracle.label} "
            f"recovers ({won} % corrupted): {half(part)}"
        )
    parts = (
        f"{value} % the {oracle.label} wins back {gains[oracle.id, value].in_points}, the {own.label} "
        f"{gains[own.id, value].in_points}"
        for value in values
    )
    yield f"{sweep.title}:", f"{verdict}. At {'; at '.join(parts)}."


def half(part: Interval) -> str:
    """Whether a part is at least half of the whole, and whether its interval says so, too."""
    side = "at least half" if part.mean >= 0.5 else "less than half"
    return f"{side}, but not beyond its interval" if part.low < 0.5 <= part.high else side


def _swept(table: Table, sweep: Sweep) -> Iterator[Finding]:
    """Where each curve is best and worst, and which values differ from the reference beyond their interval."""
    for curve in sweep.curves:
        ran = [point for point in table.points(sweep.id, curve.id) if point.interval]
        if len(ran) < 2:
            continue
        worst, *_, best = sorted(ran, key=lambda point: point.interval.mean)
        text = (
            f"{table.spec.main_metric} is best at {value_text(best.value)} ({best.interval.mean:.1f}) and worst at "
            f"{value_text(worst.value)} ({worst.interval.mean:.1f})"
        )
        if gained := [point for point in ran if point.gain]:
            told = "; ".join(f"{value_text(p.value)}: {p.gain.verdict}, {p.gain.in_points}" for p in gained)
            text += f". Against {reference_label(sweep)}: {told}"
        yield f"{sweep.title}{f' ({curve.label})' if len(sweep.curves) > 1 else ''}:", f"{text}."


def _curve(sweep: Sweep, id: str) -> Curve:
    return next(curve for curve in sweep.curves if curve.id == id)
