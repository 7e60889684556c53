"""Figures of trials that their raw values tell: latency beside throughput, and what disturbed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from autotune.measurement.conditions import (
    disturbance,
    in_hindsight,
    quietness,
    usual_probe_s,
    what_disturbed,
)
from autotune.measurement.measurement import Conditions, Measurement
from autotune.measurement.statistics import latencies_s, throughput_sps
from autotune.objectives.catalogue import objective_of
from autotune.objectives.objective import Objective
from autotune.objectives.outcome import UNKNOWN
from autotune.service.pages.charts.search import SpeedPoint, thinned
from autotune.spec.study import StudySpec
from autotune.statistics.quantiles import percentile_of
from autotune.store.records import TrialRecord
from autotune.store.store import StudyStore
from autotune.store.trial_points import TrialPoint, chosen_trials
from autotune.units import format_latency

SAMPLED: Final = 16
"""So many trials are read whole where their columns do not tell both figures."""

USUAL_PERCENTILE: Final = 50.0
"""Of latency, where neither a limit nor the objective names one: any number of requests tells it."""


def shown_percentile(spec: StudySpec) -> float:
    """Choose the percentile that is drawn: the limit's, else the objective's, else the usual one."""
    limit = spec.limits.latency
    return (limit.percentile if limit is not None else objective_of(spec).percentile) or USUAL_PERCENTILE


def speed_points(store: StudyStore, spec: StudySpec, points: Sequence[TrialPoint]) -> list[SpeedPoint]:
    """Give throughput and latency of trials.

    Where the score is a throughput and a latency is limited, the columns tell both of every trial. Else they
    are read from the raw values of a few: the best, the baseline, and some of the others.
    """
    objective, limit = objective_of(spec), spec.limits.latency
    listed = [point for point in thinned(points, objective) if point.score is not None]
    if limit is not None and _is_throughput(objective):
        listed_by = [(point, point.violations.get("latency")) for point in listed]
        return [
            SpeedPoint(
                point.number, point.score or 0.0, (1 + by) * limit.max_s, point.is_feasible, point.baseline
            )
            for point, by in listed_by
            if by is not None
        ]
    chosen = _sample(listed, objective)
    feasible = {point.number: point.is_feasible for point in chosen}
    records = chosen_trials(store, spec.name, feasible)
    return [_speed(record, spec, is_feasible=feasible[record.number]) for record in records]


def _is_throughput(objective: Objective) -> bool:
    """Whether a score is itself the samples per second."""
    try:
        return objective.implied_throughput_sps(1.0, UNKNOWN) == 1.0
    except ValueError:  # a cost needs a price
        return False


def _sample(points: Sequence[TrialPoint], objective: Objective) -> list[TrialPoint]:
    """Choose so many trials as may be read whole, best first; the baseline is among them."""
    ordered = sorted(
        points,
        key=lambda point: (
            not point.baseline,
            not point.is_feasible,
            -objective.goodness(point.score or 1.0),
        ),
    )
    step = max(1, -(-len(ordered) // SAMPLED))
    return (
        ordered[:SAMPLED]
        if step == 1
        else [*ordered[: SAMPLED // 2], *ordered[SAMPLED // 2 :: step]][:SAMPLED]
    )


def _speed(record: TrialRecord, spec: StudySpec, *, is_feasible: bool) -> SpeedPoint:
    assert isinstance(record.result, Measurement)
    latency_s = percentile_of(latencies_s(record.result), shown_percentile(spec))
    return SpeedPoint(record.number, throughput_sps(record.result), latency_s, is_feasible, record.baseline)


def latency_words(record: TrialRecord, spec: StudySpec) -> str:
    """Give a trial's latency at the percentile that is shown; empty of one that failed."""
    if not isinstance(record.result, Measurement):
        return ""
    return format_latency(percentile_of(latencies_s(record.result), shown_percentile(spec)))


def disturbed_words(record: TrialRecord) -> str:
    """Say what disturbed a trial, and what became of its blocks; empty where nothing did."""
    if not isinstance(record.result, Measurement):
        return ""
    counted, dropped = _conditions(record.result)
    found = [one for one in counted if disturbance(one)]
    told = [what_disturbed(found)] if found else []
    told += [f"not counted: {what_disturbed(dropped)}"] if dropped else []
    return "; ".join(told)


def quietness_words(records: Sequence[TrialRecord]) -> str:
    """Say how quiet the machine was during these trials; empty where nobody looked."""
    kept: list[Conditions] = []
    gone: list[Conditions] = []
    for record in records:
        if isinstance(record.result, Measurement):
            kept += [block.conditions for block in record.result.blocks if block.conditions is not None]
            gone += [block.conditions for block in record.result.dropped]
    return quietness(kept, gone) if kept or gone else ""


def _conditions(measurement: Measurement) -> tuple[list[Conditions], list[Conditions]]:
    """Give the conditions of blocks that count, and of those that do not."""
    looked = [block.conditions for block in measurement.blocks if block.conditions is not None]
    usual_s = usual_probe_s(looked)
    return [in_hindsight(one, usual_s) for one in looked], [block.conditions for block in measurement.dropped]
