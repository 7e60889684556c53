"""What a plan states of its own processes under a load: the figures that a running server is held against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from autotune.fleet.capability import capability_of
from autotune.plan.document import Plan
from autotune.plan.study import spec_of
from autotune.spec.scenario import traits_of
from autotune.spec.study import LatencyLimit

USUAL_SHARE: Final = 0.6
"""Of what the plan bears: the rate, unless another is asked for."""

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0)


@dataclass(frozen=True)
class StatedLoad:
    """What a plan states of requests that arrive at a rate.

    Attributes:
        rate_per_s: requests per second.
        capacity_per_s: what its processes serve at most; None where that is not known.
        latencies_s: by percentile; those that are not known, or not finite, are not there.
        basis: on what they rest, in words; where there are none, why, as a clause.
        limit: of latency, that the study sets itself; None without one.
    """

    rate_per_s: float
    capacity_per_s: float | None
    latencies_s: Mapping[float, float] = field(default_factory=dict)
    basis: str = ""
    limit: LatencyLimit | None = None


def stated_load(plan: Plan, rate_per_s: float | None = None) -> StatedLoad:
    """Give what a plan states of a rate.

    Latencies at a rate that was not measured are those of a queue with the service times that were. They are
    of the engine alone: neither HTTP nor the server's own work is in them.

    Args:
        rate_per_s: None = `USUAL_SHARE` of what it bears.

    Raises:
        PlanError: the study in the plan is wrong.
    """
    spec = spec_of(plan)
    limit = spec.limits.latency
    throughput_per_s = plan.estimate.throughput_sps / spec.problem.batch_size
    if traits_of(plan.scenario).is_split and len(plan.instances) > 1:
        why = (
            f"the plan splits every request over its {len(plan.instances)} instances, which a server does not"
        )
        return StatedLoad(rate_per_s or USUAL_SHARE * throughput_per_s, None, basis=why, limit=limit)
    known = capability_of(plan)
    if isinstance(known, str):
        return StatedLoad(rate_per_s or USUAL_SHARE * throughput_per_s, None, basis=known, limit=limit)
    capacity = known.runs[-1].queue.capacity_per_s
    rate = rate_per_s or USUAL_SHARE * capacity
    latencies = {percentile: known.latency_s(rate, percentile) for percentile in PERCENTILES}
    finite = {percentile: value for percentile, value in latencies.items() if math.isfinite(value)}
    return StatedLoad(rate, capacity, finite, known.in_words, limit)
