"""Built curves of plans: service times that are known, and what a queue with them gives."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Literal

from autotune.plan.curve import PERCENTILES, Curve, CurvePoint, make_curve
from autotune.plan.evidence import LatencyPercentile
from autotune.plan.histogram import latency_histogram
from autotune.statistics.quantiles import percentile_of_sorted
from autotune.statistics.queueing import Queue

SHARES = (0.3, 0.6, 0.8, 0.9)
"""Of the capacity, at which a built curve has its points."""


def lognormal_services_s(
    mean_s: float, spread: float, *, count: int = 2_000, seed: int = 0
) -> tuple[float, ...]:
    """Draw service times.

    Args:
        spread: standard deviation of their logarithms; 0 = all alike.
    """
    draw = random.Random(seed)
    middle = math.log(mean_s) - spread**2 / 2
    return tuple(draw.lognormvariate(middle, spread) for _ in range(count))


def build_curve(
    services_s: Sequence[float],
    instances: int = 1,
    *,
    shares: Sequence[float] = SHARES,
    excess: float = 1.0,
    way: Literal["tuned", "swept"] = "swept",
    samples_per_request: float = 1.0,
) -> Curve:
    """Build the curve of a machine whose instances serve one queue.

    Args:
        excess: how many times the queue's latency was measured.
    """
    queue = Queue(instances, tuple(services_s))
    return make_curve(
        [_point(queue, share, excess) for share in shares],
        way=way,
        instances=instances,
        samples_per_request=samples_per_request,
        measured_s=1_790_000_500.0,
    )


def _point(queue: Queue, share: float, excess: float) -> CurvePoint:
    rate = share * queue.capacity_per_s
    latencies = queue.long_run(rate)
    return CurvePoint(
        rate_per_s=rate,
        requests=3_000,
        latencies=tuple(
            LatencyPercentile(percentile=percentile, value_s=value, upper_s=value, needed=300)
            for percentile in PERCENTILES
            if (value := excess * percentile_of_sorted(latencies, percentile))
        ),
        length_s=3_000 / rate,
        answered_per_s=rate,
        utilisation=share,
        services=latency_histogram(queue.services_s),
    )
