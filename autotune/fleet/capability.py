"""What one machine bears that runs a plan: the highest rate within a latency, and the latency at a rate.

A plan's curve says it at the rates that were measured. Between and beyond them the service times of the
nearest measured rate are replayed in a queue, as if requests came at the other rate. As far as the measured
latency of that run, with its 95 % bound, lies above the replay at the run's own rate, the replay is
corrected upwards: in seconds or by the ratio, whichever is less, because the distance shrinks with the
queue. At lower rates than its own it is no more than what was measured.

Runs differ, so that what the nearest one says jumps where two rates are equally near. But no queue gets
faster as more requests come. So the latency at a rate is the least that is told of this or any higher one: a
run that was disturbed does not speak against a higher rate that was measured to be faster. Nor is a rate
bearable above one that was tried and missed the target, unless a higher one was measured to keep to it.

A plan without a curve is replayed with the latencies of its own requests, which were sent back to back: that
is what an instance takes while all are busy. No arrival rate was measured then, which is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

from autotune.fleet.workload import LatencyTarget
from autotune.plan.curve import Curve, CurvePoint
from autotune.plan.document import Plan
from autotune.plan.histogram import histogram_values_s
from autotune.spec.scenario import traits_of
from autotune.statistics.quantiles import percentile_of, upper_bound

if TYPE_CHECKING:
    from autotune.statistics.queueing import Queue

Basis = Literal["swept", "tuned", "back-to-back"]
"""What stands behind it: a curve that was measured on purpose; the rates that were tried while the plan was
tuned; or the plan's own requests, one after the other."""

BASES: Final[Mapping[Basis, str]] = {
    "swept": "rates measured by `autotune curve`",
    "tuned": "the rates that were tried while the plan was tuned",
    "back-to-back": "requests sent back to back: no arrival rate was measured, which `autotune curve` does",
}

MOST_SERVICES: Final = 20_000
"""Service times of one run that are replayed: of more, every so many-th of the sorted ones."""


@dataclass(frozen=True)
class Edge:
    """A target that lies where the measured service times cannot tell whether lone requests keep to it.

    Attributes:
        measured: service times; beyond: of them, those that exceed the target by themselves.
    """

    measured: int
    beyond: int


@dataclass(frozen=True)
class MeasuredRun:
    """One measured rate, or requests back to back.

    Attributes:
        rate_per_s: None where nothing arrived at a rate.
        stated: by percentile, what its latency does not exceed in the long run, with 95 % confidence.
    """

    queue: Queue
    rate_per_s: float | None = None
    stated: Mapping[float, float] = field(default_factory=dict)

    def excess(self, percentile: float) -> tuple[float, float]:
        """Say how far the measured latency lies above the replay at its rate: in seconds, and as a ratio."""
        upper_s = self.stated.get(percentile)
        if upper_s is None or self.rate_per_s is None or self.rate_per_s >= self.queue.capacity_per_s:
            return 0.0, 1.0
        replayed_s = self.queue.latency_s(self.rate_per_s, percentile)
        return max(0.0, upper_s - replayed_s), max(1.0, upper_s / replayed_s)

    def highest_rate(self, target: LatencyTarget) -> float | None:
        """Give the highest rate that keeps to the target; None where not even a lone request does."""
        beyond_s, ratio = self.excess(target.percentile)
        asked_s = max(target.max_s - beyond_s, target.max_s / ratio)
        rate = self.queue.highest_rate(target.percentile, asked_s)
        measured = self._kept_rate(target)
        return rate if measured is None else max(rate or 0.0, measured)

    def at_speed(self, times: float) -> MeasuredRun:
        """Give the run as it would have been on a machine that does everything so many times as fast."""
        return MeasuredRun(
            _queue(self.queue.servers, tuple(service_s / times for service_s in self.queue.services_s)),
            None if self.rate_per_s is None else self.rate_per_s * times,
            {percentile: upper_s / times for percentile, upper_s in self.stated.items()},
        )

    def _kept_rate(self, target: LatencyTarget) -> float | None:
        """Give the run's own rate if it was measured to keep to a target, by its bound."""
        is_kept = self.stated.get(target.percentile, math.inf) <= target.max_s
        return self.rate_per_s if is_kept and (self.rate_per_s or 0.0) < self.queue.capacity_per_s else None

    def edge(self, target: LatencyTarget) -> Edge | None:
        """Say how many lone requests miss a target, where the run cannot tell whether too many do.

        None where the percentile is bounded, by the run or by the number of its service times.
        """
        if target.percentile in self.stated:
            return None
        services = self.queue.services_s
        bound_s = upper_bound(services, target.percentile)
        if bound_s is not None and bound_s <= target.max_s:
            return None
        return Edge(len(services), sum(service_s > target.max_s for service_s in services))

    def latency_s(self, rate_per_s: float, percentile: float) -> float:
        """Give the percentile of latency at a rate; infinite where that is more than is served for long."""
        if rate_per_s >= self.queue.capacity_per_s:
            return math.inf
        beyond_s, ratio = self.excess(percentile)
        if rate_per_s > 0:
            replayed_s = self.queue.latency_s(rate_per_s, percentile)
        else:
            replayed_s = percentile_of(self.queue.services_s, percentile)
        told_s = min(replayed_s + beyond_s, replayed_s * ratio)
        if self.rate_per_s is None or not rate_per_s <= self.rate_per_s < self.queue.capacity_per_s:
            return told_s
        return min(told_s, self.stated.get(percentile, math.inf))


@dataclass(frozen=True)
class Glance:
    """A rate that was tried without its service times being kept.

    Attributes:
        stated: as of `MeasuredRun`.
    """

    rate_per_s: float
    stated: Mapping[float, float]

    def at_speed(self, times: float) -> Glance:
        """Give it as it would have been on a machine that does everything so many times as fast."""
        stated = {percentile: upper_s / times for percentile, upper_s in self.stated.items()}
        return Glance(self.rate_per_s * times, stated)


@dataclass(frozen=True)
class Stretch:
    """The rates, from `low` up to `high`, of which no other measured run is nearer than this one."""

    run: MeasuredRun
    low: float
    high: float

    def latency_s(self, rate_per_s: float, percentile: float) -> float:
        """Give what the run says of a rate, or of the lowest of its own where that is lower."""
        return self.run.latency_s(max(rate_per_s, self.low), percentile)


@dataclass(frozen=True)
class Bearable:
    """The highest rate at which one machine keeps to a target.

    Attributes:
        rate_per_s: requests per second; utilisation: share of its capacity that they take.
        capacity_per_s: what no queue serves for long.
        is_measured: the rate is no higher than one that was measured.
        edge: None where the service times tell that lone requests keep to the target.
        is_disputed: at a lower rate, requests that never waited were measured to miss the target.
    """

    rate_per_s: float
    utilisation: float
    capacity_per_s: float
    is_measured: bool
    edge: Edge | None = None
    is_disputed: bool = False


@dataclass(frozen=True)
class Capability:
    """What one machine does that runs a plan.

    Attributes:
        samples_per_request: sequences in each request.
        runs: at least one, ascending by rate.
        glances: other rates that were tried.
    """

    basis: Basis
    samples_per_request: float
    runs: tuple[MeasuredRun, ...]
    glances: tuple[Glance, ...] = ()

    @property
    def in_words(self) -> str:
        """On what it rests."""
        return BASES[self.basis]

    @property
    def servers(self) -> int:
        """Requests that are served at the same time."""
        return self.runs[0].queue.servers

    def bearable(self, target: LatencyTarget) -> Bearable | None:
        """Find the highest rate that keeps to the target; None where no rate does."""
        kept = (
            stretch
            for stretch in reversed(self._stretches)
            if stretch.latency_s(0.0, target.percentile) <= target.max_s
        )
        stretch = next(kept, None)
        own = None if stretch is None else stretch.run.highest_rate(target)
        if stretch is None or own is None:
            return None
        run, rate = stretch.run, self._not_missed(min(max(own, stretch.low), stretch.high), target)
        rates = [run.rate_per_s or 0.0 for run in self.runs]
        highest = max(rates + [glance.rate_per_s for glance in self.glances])
        capacity = run.queue.capacity_per_s
        disputing = (
            percentile_of(other.queue.services_s, target.percentile) > target.max_s
            for other in self.runs
            if (other.rate_per_s or 0.0) < rate
        )
        return Bearable(
            rate,
            rate / capacity,
            capacity,
            is_measured=rate <= highest,
            edge=run.edge(target),
            is_disputed=any(disputing),
        )

    def _not_missed(self, rate_per_s: float, target: LatencyTarget) -> float:
        """Give a rate, or the highest that was measured to keep to a target if a lower glance missed it."""
        bounds = [(run.rate_per_s or 0.0, run.stated) for run in self.runs]
        glances = [(glance.rate_per_s, glance.stated) for glance in self.glances]
        kept = max(
            (
                rate
                for rate, stated in bounds + glances
                if stated.get(target.percentile, math.inf) <= target.max_s
            ),
            default=0.0,
        )
        missed = min(
            (
                rate
                for rate, stated in glances
                if rate > kept and stated.get(target.percentile, 0.0) > target.max_s
            ),
            default=math.inf,
        )
        return rate_per_s if rate_per_s < missed else kept or missed

    def at_speed(self, times: float) -> Capability:
        """Give what a machine does that does everything so many times as fast."""
        runs = tuple(run.at_speed(times) for run in self.runs)
        glances = tuple(glance.at_speed(times) for glance in self.glances)
        return replace(self, runs=runs, glances=glances)

    def least_s(self, percentile: float) -> float:
        """Give the percentile of latency of requests that never wait, in the run that has the shortest."""
        return min(percentile_of(run.queue.services_s, percentile) for run in self.runs)

    def latency_s(self, rate_per_s: float, percentile: float) -> float:
        """Give the percentile of latency at a rate; infinite where that is more than is served for long.

        It never falls as the rate rises, and is within a target at the rates that `bearable` allows.
        """
        return self._told(rate_per_s, percentile)[0]

    def speaking(self, rate_per_s: float, percentile: float) -> MeasuredRun:
        """Give the run by which the latency at a rate is told."""
        return self._told(rate_per_s, percentile)[1]

    def _told(self, rate_per_s: float, percentile: float) -> tuple[float, MeasuredRun]:
        """Give the least latency that is told of a rate or of higher ones, and the run that tells it."""
        if percentile not in self._lowest_s:
            told = [stretch.latency_s(0.0, percentile) for stretch in self._stretches]
            self._lowest_s[percentile] = tuple(told)
        pairs = zip(self._stretches, self._lowest_s[percentile], strict=True)
        found = [
            (lowest_s if rate_per_s <= stretch.low else stretch.latency_s(rate_per_s, percentile), stretch)
            for stretch, lowest_s in pairs
            if rate_per_s <= stretch.high
        ]
        latency_s, stretch = min(found, key=lambda pair: pair[0])
        return latency_s, stretch.run

    @cached_property
    def _lowest_s(self) -> dict[float, tuple[float, ...]]:
        """By percentile, what each stretch tells of its lowest rate: known once it was asked for."""
        return {}

    @cached_property
    def _stretches(self) -> tuple[Stretch, ...]:
        """Divide all rates among the runs: the middle between two is that of their logarithms."""
        rates = [run.rate_per_s or 0.0 for run in self.runs]
        edges = [0.0, *(math.sqrt(low * high) for low, high in pairwise(rates)), math.inf]
        return tuple(map(Stretch, self.runs, edges, edges[1:]))


def capability_of(plan: Plan) -> Capability | str:
    """Read what one machine does with a plan, or say in a clause why that is not known."""
    if plan.curve is not None and (runs := _runs(plan.curve)):
        glances = (
            Glance(point.rate_per_s, _stated(point)) for point in plan.curve.points if point.services is None
        )
        return Capability(plan.curve.way, plan.curve.samples_per_request, runs, tuple(glances))
    if traits_of(plan.scenario).has_arrivals:
        return "it has no curve, and its latencies include what requests waited: run `autotune curve` on it"
    if plan.estimate.histogram is None:
        return "it has neither a curve nor the latencies of its requests: run `autotune curve` on it"
    return _back_to_back(plan, plan.estimate.histogram)


def _runs(curve: Curve) -> tuple[MeasuredRun, ...]:
    return tuple(_run(curve, point) for point in curve.points if point.services is not None)


def _run(curve: Curve, point: CurvePoint) -> MeasuredRun:
    queue = _queue(curve.instances, _thinned(point.services_s()))
    return MeasuredRun(queue, point.rate_per_s, _stated(point))


def _stated(point: CurvePoint) -> dict[float, float]:
    return {latency.percentile: latency.upper_s for latency in point.latencies if latency.upper_s is not None}


def _back_to_back(plan: Plan, histogram: str) -> Capability:
    """Take a request's latency for its service time; one that is split keeps all instances busy at once."""
    is_split = traits_of(plan.scenario).is_split
    servers = 1 if is_split else len(plan.instances)
    services = _thinned(histogram_values_s(histogram))
    mean_s = sum(services) / len(services)
    samples = plan.estimate.throughput_sps * mean_s / servers
    return Capability("back-to-back", samples, (MeasuredRun(_queue(servers, services)),))


def _queue(servers: int, services_s: tuple[float, ...]) -> Queue:
    from autotune.statistics.queueing import Queue  # here: with NumPy, which only who sizes a fleet needs

    return Queue(servers, services_s)


def _thinned(ascending_s: tuple[float, ...]) -> tuple[float, ...]:
    step = -(-len(ascending_s) // MOST_SERVICES)
    return ascending_s[step // 2 :: step] if step > 1 else ascending_s
