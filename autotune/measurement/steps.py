"""What one tried rate of a search shows, and how many requests it takes to show it."""

from __future__ import annotations

import math

from autotune.measurement.measurement import Measurement, RateStep
from autotune.statistics.quantiles import CONFIDENCE

MIN_REQUESTS = 200
"""Of a run that decides, whatever the percentile: with 100, the rates found for a p90 were 10 % below the
highest in the mean and varied by 6 %."""


def needed_requests(percentile: float) -> int:
    """The fewest requests that may decide whether a percentile meets its limit: 299 at p99, 2995 at p99.9.

    Of so many, one is above the percentile with 95 % confidence; of fewer, maybe none shows what the slowest
    are like. At least `MIN_REQUESTS`, which is more than p90 and p95 ask for.
    """
    return max(MIN_REQUESTS, math.ceil(math.log(1 - CONFIDENCE) / math.log(percentile / 100)))


def kept_step(measurement: Measurement) -> RateStep:
    """The step of a `server` measurement whose blocks it has.

    Raises:
        ValueError: it is of another scenario.
    """
    for step in measurement.rates:
        if step.kept:
            return step
    raise ValueError(f"a measurement of scenario {measurement.scenario} has no arrival rate")


def shown_latency_s(step: RateStep) -> float:
    """What the limited percentile is shown not to exceed: its upper bound.

    Where requests are too few to decide, it is as many times larger as more of them would be needed.
    """
    return step.upper_s * max(1.0, needed_requests(step.percentile) / step.requests)
