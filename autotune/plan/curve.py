"""A plan's throughput-latency curve: what its processes gave at arrival rates, from low to too high.

Requests arrive at random (Poisson), whether or not earlier ones are answered, and their latency counts from
when they were due. A point keeps the service times of its run, so that a queue with them can be replayed
later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from autotune.plan.evidence import DocumentPart, ElapsedSeconds, Histogram, LatencyPercentile, Positive
from autotune.plan.histogram import histogram_values_s

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0)
"""What every point states, as far as its requests support it."""


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
    services: Histogram | None = None
    delay_s: ElapsedSeconds = 0.0

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
        from autotune.statistics.queueing import Queue

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
