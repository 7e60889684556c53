"""A plan's throughput-latency curve: what its processes gave at arrival rates, from low to too high.

Requests arrive at random (Poisson), whether or not earlier ones are answered, and their latency counts from
when they were due. A point keeps the service times of its run, so that a queue with them can be replayed
later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from autotune.measurement.measurement import Measurement, RateStep
from autotune.measurement.statistics import latencies_s
from autotune.measurement.steps import kept_step, needed_requests
from autotune.plan.evidence import DocumentPart, ElapsedSeconds, LatencyPercentile, Positive
from autotune.plan.histogram import histogram_percentiles_s, histogram_values_s, latency_histogram
from autotune.statistics.quantiles import percentile_of
from autotune.statistics.queueing import Queue, QueueRun, tail_bound

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0)
"""What every point states, as far as its requests support it."""

SATURATED: Final = 0.98
"""Share of the capacity from which on a run says nothing of the long run: its queue grows while it lasts."""


class CurvePoint(DocumentPart):
    """One run at one arrival rate.

    Attributes:
        rate_per_s: requests per second that were sent.
        requests: that counted; waiting: of them, those that were not begun when the run was given up.
        latencies: from when requests were due, ascending by percentile. Of a run that is not saturated the
            bounded ones are those of the long run.
        length_s: of what counts of the run. answered_per_s: requests that were answered in it per second.
        utilisation: share of the time for which the instances were busy.
        services: service times in microseconds as an HdrHistogram, in its compressed base64 form.
        delay_s: by how much the load generator delayed requests, at the 99th percentile.

    Of rates that were only tried on the way, latencies and requests alone are known.
    """

    rate_per_s: Positive
    requests: Annotated[int, Field(ge=1)]
    waiting: Annotated[int, Field(ge=0)] = 0
    latencies: tuple[LatencyPercentile, ...]
    length_s: Positive | None = None
    answered_per_s: Annotated[float, Field(ge=0, le=1e12)] | None = None
    utilisation: Annotated[float, Field(ge=0, le=1)] | None = None
    services: str | None = None
    delay_s: ElapsedSeconds = 0.0

    @model_validator(mode="after")
    def _has_readable_services(self) -> Self:
        if self.services is not None:
            histogram_percentiles_s(self.services, (50.0,))
        return self

    def services_s(self) -> tuple[float, ...]:
        """Give the service times of the run, ascending; none where they are not known."""
        return () if self.services is None else histogram_values_s(self.services)

    def latency(self, percentile: float) -> LatencyPercentile | None:
        """Give one of `latencies`."""
        return next((latency for latency in self.latencies if latency.percentile == percentile), None)


class Curve(DocumentPart):
    """What a plan's processes gave at several arrival rates.

    Attributes:
        measured_s: when, in Unix time.
        way: `tuned`: tried while the plan was tuned; `swept`: measured afterwards, from low to too high.
        instances: that served them; samples_per_request: sequences in each request.
        points: ascending by rate; one rate may be there several times.
    """

    measured_s: Annotated[float, Field(ge=0, lt=253_370_764_800)]
    way: Literal["tuned", "swept"]
    instances: Annotated[int, Field(ge=1, le=100_000)]
    samples_per_request: Positive
    points: Annotated[tuple[CurvePoint, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_ascending(self) -> Self:
        rates = [point.rate_per_s for point in self.points]
        if rates != sorted(rates):
            raise ValueError("its points must be ascending by rate")
        return self

    @property
    def capacity_per_s(self) -> float | None:
        """The rate that no queue serves for long, by the service times at the highest rate that has any."""
        for point in reversed(self.points):
            if services := point.services_s():
                return Queue(self.instances, services).capacity_per_s
        return None


def make_curve(
    points: Iterable[CurvePoint],
    *,
    way: Literal["tuned", "swept"],
    instances: int,
    samples_per_request: float,
    measured_s: float,
) -> Curve:
    """Put points in order.

    Raises:
        ValueError: there are none.
    """
    return Curve(
        measured_s=measured_s,
        way=way,
        instances=instances,
        samples_per_request=samples_per_request,
        points=tuple(sorted(points, key=lambda point: (point.rate_per_s, point.requests))),
    )


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
        latencies=tuple(
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
