"""Which limits of its study a point misses: nothing is compared with a point that may not be chosen."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from autotune.objectives.limits import bound_or_value, limits_exceeded
from autotune.plan.histogram import histogram_values_s
from autotune.series.record import PointRecord, RunFigures
from autotune.spec.study import LatencyLimit, Limits


def missed_limits(point: PointRecord, figures: Sequence[RunFigures]) -> tuple[str, ...]:
    """Say which limits all runs of a point together do not show to be met, and by how much they are missed.

    They are held to as in a study's confirmation; see `autotune.objectives.limits.missed`.

    Args:
        figures: of its runs, at least one.
    """
    limits = Limits.model_validate(point.study.get("limits") or {})
    latency_s = None if limits.latency is None else _latency_s(limits.latency, figures)
    return tuple(limits_exceeded(limits, latency_s, max(one.memory_bytes for one in figures)))


def _latency_s(limit: LatencyLimit, figures: Sequence[RunFigures]) -> float:
    served = [one.served_within_s for one in figures if one.served_within_s is not None]
    if served:
        return statistics.median(served)
    latencies_s = [value for one in figures for value in histogram_values_s(one.histogram)]
    return bound_or_value(latencies_s, limit.percentile)
