"""Warms an engine up by rule: until stretches of requests get no faster any more.

Warming makes requests faster. So a stretch is compared with the fastest before it: one that agrees with it
ends the warm-up; one that is slower was disturbed, which is no reason to go on for ever, and the second such
in a row ends it as well; only one that is clearly faster shows that the engine was still warming.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

AGREEMENT = 0.05
"""Largest difference of a stretch that agrees with the fastest before it, as a share of that."""

SLOWER_STRETCHES = 2
"""So many in a row that are slower show that there is noise, and nothing left to warm."""

MIN_STRETCH_S = 0.05
"""Shortest stretch: short requests are averaged over at least this long."""


LAP_SHARE = 0.25
"""Of the time limit, for the first lap over requests that differ: two more have to fit."""


@dataclass(frozen=True)
class WarmUp:
    """How a warm-up went.

    Attributes:
        requests: how many were run.
        request_s: mean time of a request in the fastest stretch: a slower one was disturbed, or not warm yet.
        seconds: how long it took.
        settled: it ended by the rule and not by its time limit.
    """

    requests: int
    request_s: float
    seconds: float
    settled: bool


def warm_up(
    request: Callable[[], object], limit_s: float, clock: Callable[[], float] = time.monotonic
) -> WarmUp:
    """Run requests until stretches of them get no faster, or `limit_s` has passed.

    At least two requests are run however long they take: the first allocates and plans.
    """
    start_s = clock()
    requests, fastest_s = _stretch(request, clock)
    slower = 0
    while True:
        count, request_s = _stretch(request, clock)
        requests += count
        slower = slower + 1 if request_s > (1 + AGREEMENT) * fastest_s else 0
        agrees = abs(request_s - fastest_s) <= AGREEMENT * fastest_s
        settled = agrees or slower == SLOWER_STRETCHES
        seconds = clock() - start_s
        fastest_s = min(fastest_s, request_s)
        if settled or seconds >= limit_s:
            return WarmUp(requests, fastest_s, seconds, settled)


def warm_up_in_laps(
    request: Callable[[], object],
    rewind: Callable[[], object],
    cycle: int,
    limit_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> WarmUp:
    """Warm up on requests that differ: run the same ones in every lap, so that laps can be compared.

    A lap is a whole cycle, or as many requests as fit into `LAP_SHARE` of the time.

    Args:
        rewind: makes the next request the first one again.
        cycle: requests in which short and long ones come as often as in all.
    """
    start_s = clock()
    length = 0
    while length < 1 or (length < cycle and clock() - start_s < LAP_SHARE * limit_s):
        request()
        length += 1

    def lap() -> None:
        rewind()
        for _ in range(length):
            request()

    warm = warm_up(lap, limit_s - (clock() - start_s), clock)
    requests = length * (1 + warm.requests)
    return WarmUp(requests, warm.request_s / length, clock() - start_s, warm.settled)


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
