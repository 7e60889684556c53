"""Makes a plan's curve of what its runs measured: a point of every rate that they tried."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import numpy as np

from autotune.measurement.measurement import Measurement, RateStep
from autotune.measurement.statistics import latencies_s
from autotune.measurement.steps import kept_step, needed_requests
from autotune.plan.curve import PERCENTILES, Curve, CurvePoint, make_curve
from autotune.plan.evidence import LatencyPercentile
from autotune.plan.histogram import latency_histogram
from autotune.statistics.quantiles import percentile_of
from autotune.statistics.queueing import Queue, QueueRun, tail_bound

SATURATED: Final = 0.98
"""Share of the capacity from which on a run says nothing of the long run: its queue grows while it lasts."""


def tuned_curve(runs: Sequence[Measurement], measured_s: float) -> Curve | None:
    """Give the curve of the rates that a plan's own runs tried; None where no rate was sought."""
    if not runs or not runs[0].rates:
        return None
    points: list[CurvePoint] = []
    for run in runs:
        points += [_tried(step) for step in run.rates if not step.kept]
        points.append(point_of(run))
    return make_curve(
        points,
        way="tuned",
        instances=len(runs[0].observations),
        samples_per_request=samples_per_request(runs[0]),
        measured_s=measured_s,
    )


def samples_per_request(run: Measurement) -> float:
    """Give how many sequences a request of a run has."""
    return run.blocks[0].instances[0].samples_per_request


def point_of(run: Measurement, bounded: Collection[float] = ()) -> CurvePoint:
    """Say what the kept run of a `server` measurement gave.

    Args:
        bounded: percentiles that get the bound of the long run, which takes a part of a second each. The one
            that the run was judged by has it in any case.

    Raises:
        ValueError: no rate was sought.
    """
    step = kept_step(run)
    services = _services_s(run)
    first, last = run.blocks[0], run.blocks[-1]
    begin_s, end_s = first.start_s, last.end_s or first.start_s
    length_s, instances = end_s - begin_s, len(first.instances)
    ends = [end for block in run.blocks for part in block.instances for end in part.ends_s]
    queue = None if _is_saturated(step, services, instances) else _queue_run(run, step.rate_per_s)
    latencies = sorted(latencies_s(run))
    wanted = sorted({*PERCENTILES, step.percentile, *bounded})
    return CurvePoint(
        rate_per_s=step.rate_per_s,
        requests=max(1, len(latencies)),
        waiting=step.waiting,
        latencies=_rising(
            _latency(percentile, step, latencies, queue, is_bounded=percentile in bounded)
            for percentile in wanted
        ),
        length_s=length_s,
        answered_per_s=sum(end <= end_s for end in ends) / length_s,
        utilisation=min(1.0, sum(services) / (instances * length_s)),
        services=latency_histogram(services),
        delay_s=step.delay_s,
    )


def _is_saturated(step: RateStep, services_s: Sequence[float], instances: int) -> bool:
    """Tell whether a run's queue grew for as long as it lasted, so that no percentile is the long run's."""
    if not services_s or step.waiting:
        return True
    return step.rate_per_s >= SATURATED * Queue(instances, tuple(services_s)).capacity_per_s


def _tried(step: RateStep) -> CurvePoint:
    """Say what is known of a rate whose raw values were not kept."""
    return CurvePoint(
        rate_per_s=step.rate_per_s,
        requests=max(1, step.requests),
        waiting=step.waiting,
        latencies=(_judged(step),),
        delay_s=step.delay_s,
    )


def _judged(step: RateStep) -> LatencyPercentile:
    return LatencyPercentile(
        percentile=step.percentile,
        value_s=step.latency_s,
        upper_s=step.upper_s,
        needed=needed_requests(step.percentile),
    )


def _latency(
    percentile: float,
    step: RateStep,
    ascending: Sequence[float],
    queue: QueueRun | None,
    *,
    is_bounded: bool,
) -> LatencyPercentile:
    """State a percentile as surely as it is known; `queue` is None where the run was saturated."""
    needed = needed_requests(percentile)
    value_s = percentile_of(ascending, percentile) if len(ascending) >= needed else None
    if queue is None or value_s is None:
        return LatencyPercentile(percentile=percentile, value_s=value_s, upper_s=None, needed=needed)
    if percentile == step.percentile:
        return _judged(step)
    if not is_bounded:
        return LatencyPercentile(percentile=percentile, value_s=value_s, upper_s=None, needed=needed)
    bound = tail_bound(queue, percentile)
    return LatencyPercentile(
        percentile=percentile, value_s=bound.value_s, upper_s=bound.upper_s, needed=needed
    )


def _rising(latencies: Iterable[LatencyPercentile]) -> tuple[LatencyPercentile, ...]:
    """Have no percentile lie below a lower one: some are of the long run, and others of this run alone."""
    known_s, rising = 0.0, []
    for latency in latencies:
        stated: dict[str, float | None] = {}
        if latency.value_s is not None:
            known_s = max(known_s, latency.value_s)
            upper_s = None if latency.upper_s is None else max(known_s, latency.upper_s)
            stated = {"value_s": known_s, "upper_s": upper_s}
        rising.append(latency.model_copy(update=stated))
    return tuple(rising)


def _services_s(run: Measurement) -> list[float]:
    """Give the service times of a run; none where it was not kept when requests were begun."""
    return [
        end - begun
        for block in run.blocks
        for part in block.instances
        if part.begun_s
        for begun, end in zip(part.begun_s, part.ends_s, strict=True)
    ]


def _queue_run(run: Measurement, rate_per_s: float) -> QueueRun:
    """Give the requests of a run as a queue saw them.

    Those that arrived while the queue filled are not kept, so that the first stretch stands for them.
    """
    rows = sorted(
        (start, end - start, end - begun, stretch)
        for stretch, block in enumerate(run.blocks)
        for part in block.instances
        for start, begun, end in zip(part.starts_s, part.begun_s, part.ends_s, strict=True)
    )
    arrivals, latencies, services, stretches = (np.array(column) for column in zip(*rows, strict=True))
    return QueueRun(
        rate_per_s,
        servers=len(run.blocks[0].instances),
        arrivals_s=arrivals,
        latencies_s=latencies,
        services_s=services,
        stretch=np.where(stretches == 0, -1, stretches).astype(np.intp),
    )
