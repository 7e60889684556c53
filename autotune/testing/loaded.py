"""Measurements of the scenario `server` without processes: a queue on paper, judged as real ones are."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import replace

from autotune.measurement.measurement import Measurement
from autotune.spec.study import LatencyLimit
from autotune.statistics.arrivals import poisson_times
from autotune.testing.observations import build_observation
from autotune.trial.server.load import Load, SentRequest
from autotune.trial.server.rates import Span, judge


def loaded_measurement(
    services_s: Sequence[float],
    instances: int,
    rate_per_s: float,
    *,
    seconds: float = 20.0,
    patience_s: float = 60.0,
    seed: int = 0,
) -> Measurement:
    """Measure instances that draw their service times, at one arrival rate, judged by their p99."""
    span = Span(0.1 * seconds, seconds)
    load = _load(
        services_s, instances, poisson_times(seed, rate_per_s, (0.1 * seconds, seconds)), patience_s, seed
    )
    run = judge(load, span, rate_per_s, LatencyLimit(percentile=99.0, max_s=patience_s), None)
    return Measurement(
        scenario="server",
        blocks=run.blocks(),
        observations=tuple(build_observation(pid=index + 1) for index in range(instances)),
        memory_binding="none",
        wall_s=1.1 * seconds,
        measuring_s=1.1 * seconds,
        warmup_s=0.0,
        rates=(replace(run.step, kept=True),),
    )


def _load(
    services_s: Sequence[float], instances: int, times_s: Sequence[float], patience_s: float, seed: int
) -> Load:
    draw = random.Random(seed + 1)
    given_up_s = times_s[-1] + patience_s
    free = [(0.0, instance) for instance in range(instances)]
    requests = []
    for time_s in times_s:
        free_s, instance = free[0]
        begun_s = max(free_s, time_s)
        if begun_s > given_up_s:
            requests.append(SentRequest(time_s, time_s))
            continue
        end_s = begun_s + draw.choice(services_s)
        heapq.heapreplace(free, (end_s, instance))
        requests.append(SentRequest(time_s, time_s, begun_s, end_s, instance))
    return Load(0.0, given_up_s, tuple(requests), (1,) * instances, realtime=True)
