"""The pollution experiment: what each gate wins back when corrupted masks are offered to the memory bank."""

from __future__ import annotations

from collections.abc import Iterator

from memvos.report.compare import GAINS, Interval, bootstrap
from memvos.report.content import PollutedPoint, Table
from memvos.report.results import Results
from memvos.report.spec import PollutionGate, Spec


def points(spec: Spec, results: Results) -> Iterator[PollutedPoint]:
    """Every gate at every rate, and its gain over no gate at the same rate."""
    if spec.pollution is None:
        return
    row, metric = spec.pollution.row, spec.main_metric
    _, _, open_gate = gates(spec)
    for gate in spec.pollution.gates:
        for rate in spec.pollution.rates:
            here = (row, spec.pollution.variant(gate, rate))
            scores, gain = results.points(*here, metric), None
            if open_gate is not None and gate is not open_gate:
                gain = results.difference(here, (row, spec.pollution.variant(open_gate, rate)), metric)
            yield PollutedPoint(gate.id, gate.label, rate, bootstrap(scores) if scores else None, gain)


def gates(spec: Spec) -> tuple[PollutionGate | None, PollutionGate | None, PollutionGate | None]:
    """The row's own gate, the oracle's, and no gate; None for one the experiment does not have."""
    row = spec.row(spec.pollution.row)

    def of(variant: str | None) -> PollutionGate | None:
        return next((gate for gate in spec.pollution.gates if gate.variant == variant), None)

    oracle, ungated = spec.oracle(row), spec.ungated(row)
    return of(None), oracle and of(oracle), of(ungated)


def recovered(table: Table) -> tuple[list[int], Interval | None] | None:
    """The rates with all three gates, and the part of the oracle's gains that the row's own gate reaches, a ratio.

    The part is taken over the rates where the oracle gains beyond its interval; None where there is none. None
    altogether where no rate has all three gates.
    """
    setting = table.spec.pollution
    if setting is None or None in gates(table.spec):
        return None
    own, oracle, open_gate = gates(table.spec)
    gains = {(point.gate, point.rate): point.gain for point in table.pollution}
    rates = [rate for rate in setting.rates if rate and gains[own.id, rate] and gains[oracle.id, rate]]
    won = [rate for rate in rates if gains[oracle.id, rate].verdict == GAINS]
    if not rates:
        return None
    if not won:
        return rates, None
    variants = [tuple(setting.variant(gate, rate) for gate in (own, oracle, open_gate)) for rate in won]
    return rates, table.results.recovered(setting.row, variants, table.spec.main_metric)
