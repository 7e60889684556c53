"""One run at one arrival rate, judged: what it says of the limited percentile, and of other rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autotune.measurement.measurement import Block, Conditions, InstanceBlock, RateStep
from autotune.measurement.steps import needed_requests
from autotune.spec.study import LatencyLimit
from autotune.statistics.quantiles import percentile_of
from autotune.statistics.queueing import Queue, QueueRun, TailBound, tail_bound
from autotune.trial.server.load import Load, SentRequest

STRETCHES = 10
"""Of a run, between which Student's interval is taken. Source: B. Schmeiser, Batch size effects in the
analysis of simulation output (1982): 10 to 30."""


@dataclass(frozen=True)
class Span:
    """Which part of a run counts.

    Attributes:
        settling_s: from its start; before it, the queue fills. length_s: of what counts, after it.
    """

    settling_s: float
    length_s: float

    def stretches(self, load: Load) -> list[int]:
        """Which stretch each request belongs to, by when it was to be sent; -1 = settling."""
        since_s = (request.time_s - load.start_s - self.settling_s for request in load.requests)
        return [-1 if at_s < 0 else self._stretch(at_s) for at_s in since_s]

    def _stretch(self, at_s: float) -> int:
        return min(STRETCHES - 1, math.floor(STRETCHES * at_s / self.length_s))


@dataclass(frozen=True)
class JudgedRun:
    """A run at one rate.

    Attributes:
        capacity_per_s: the rate that the instances cannot serve for long, by their service times in it.
        service_s: the limited percentile of the service times alone.
        expected_per_s: the highest rate that is expected to meet the limit; None = no rate is.
    """

    load: Load
    span: Span
    step: RateStep
    conditions: Conditions | None
    capacity_per_s: float
    service_s: float
    expected_per_s: float | None

    def blocks(self) -> tuple[Block, ...]:
        """What counts of the run, stretch by stretch."""
        requests: list[list[SentRequest]] = [[] for _ in range(STRETCHES)]
        for request, stretch in zip(self.load.requests, self.span.stretches(self.load), strict=True):
            if stretch >= 0:
                requests[stretch].append(request)
        return tuple(self._block(stretch, own) for stretch, own in enumerate(requests))

    def _block(self, stretch: int, requests: Sequence[SentRequest]) -> Block:
        start_s = self.load.start_s + self.span.settling_s
        begin_s, end_s = (start_s + self.span.length_s * part / STRETCHES for part in (stretch, stretch + 1))
        instances = tuple(
            _instance_block(samples, [request for request in requests if request.instance == instance])
            for instance, samples in enumerate(self.load.samples_per_request)
        )
        waiting = (request for request in requests if request.instance < 0)
        waiting_s = tuple(self.load.given_up_s - request.time_s for request in waiting)
        return Block(begin_s, instances, self.conditions, end_s, waiting_s)


def _instance_block(samples_per_request: int, requests: Sequence[SentRequest]) -> InstanceBlock:
    return InstanceBlock(
        samples_per_request,
        starts_s=tuple(request.time_s for request in requests),
        ends_s=tuple(request.end_s for request in requests),
        begun_s=tuple(request.begun_s for request in requests),
        hits=sum(request.hits for request in requests),
    )


def is_judgeable(load: Load, span: Span) -> bool:
    """Whether requests of two stretches were answered: of fewer nothing can be said but that they waited."""
    stretches = zip(load.requests, span.stretches(load), strict=True)
    return len({stretch for request, stretch in stretches if stretch >= 0 and request.instance >= 0}) > 1


def judge(
    load: Load, span: Span, rate_per_s: float, limit: LatencyLimit, conditions: Conditions | None
) -> JudgedRun:
    """Say what a run shows.

    Raises:
        ValueError: it is not judgeable (`is_judgeable`).
    """
    stretches = span.stretches(load)
    run = QueueRun(
        rate_per_s,
        servers=len(load.samples_per_request),
        arrivals_s=np.array([request.time_s for request in load.requests]),
        latencies_s=np.array([min(one.end_s, load.given_up_s) - one.time_s for one in load.requests]),
        services_s=np.array([_service_s(request) for request in load.requests]),
        stretch=np.array(stretches, dtype=np.intp),
    )
    counted = [one for one, stretch in zip(load.requests, stretches, strict=True) if stretch >= 0]
    bound = tail_bound(run, limit.percentile)
    is_enough = len(counted) >= needed_requests(limit.percentile)
    step = RateStep(
        rate_per_s=rate_per_s,
        requests=len(counted),
        waiting=sum(request.instance < 0 for request in counted),
        percentile=limit.percentile,
        latency_s=bound.value_s,
        upper_s=bound.upper_s,
        late_s=load.late_s(),
        delay_s=load.delay_s(),
        met=is_enough and bound.upper_s <= limit.max_s,
    )
    queue = run.queue()
    return JudgedRun(
        load,
        span,
        step,
        conditions,
        capacity_per_s=queue.capacity_per_s,
        service_s=percentile_of(queue.services_s, limit.percentile),
        expected_per_s=_expected_rate(queue, bound, limit),
    )


def _expected_rate(queue: Queue, bound: TailBound, limit: LatencyLimit) -> float | None:
    """The highest rate at which the bound would meet the limit, by the replay of the measured service times.

    It is asked for a limit that is as much lower as the bound is above the replay at the run's own rate: in
    seconds or as a share, whichever is less, because the distance shrinks with the queue.
    """
    beyond_s = max(0.0, bound.upper_s - bound.replayed_s)
    share = min(1.0, bound.replayed_s / bound.upper_s)
    asked_s = max(limit.max_s - beyond_s, limit.max_s * share)
    return queue.highest_rate(limit.percentile, asked_s)


def _service_s(request: SentRequest) -> float:
    return request.end_s - request.begun_s if request.instance >= 0 else math.nan
