"""Warms an engine up by rule: until two successive stretches of requests agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

AGREEMENT = 0.05
"""Largest difference between two successive stretches, as a share of the later."""

MIN_STRETCH_S = 0.05
"""Shortest stretch: short requests are averaged over at least this long."""


@dataclass(frozen=True)
class WarmUp:
    """How a warm-up went.

    Attributes:
        requests: how many were run.
        request_s: mean time of the last stretch's requests.
        seconds: how long it took.
        settled: it ended by agreement and not by its time limit.
    """

    requests: int
    request_s: float
    seconds: float
    settled: bool


def warm_up(
    request: Callable[[], object], limit_s: float, clock: Callable[[], float] = time.monotonic
) -> WarmUp:
    """Run requests until two successive stretches agree, or `limit_s` has passed.

    At least two requests are run however long they take: the first allocates and plans.
    """
    start_s = clock()
    requests, previous_s = _stretch(request, clock)
    while True:
        count, request_s = _stretch(request, clock)
        requests += count
        settled = abs(request_s - previous_s) <= AGREEMENT * request_s
        seconds = clock() - start_s
        if settled or seconds >= limit_s:
            return WarmUp(requests, request_s, seconds, settled)
        previous_s = request_s


def _stretch(request: Callable[[], object], clock: Callable[[], float]) -> tuple[int, float]:
    """Run at least one request and at least `MIN_STRETCH_S`; give their number and mean time."""
    start_s = clock()
    count = 0
    while True:
        request()
        count += 1
        seconds = clock() - start_s
        if seconds >= MIN_STRETCH_S:
            return count, seconds / count
