"""When requests arrive that many independent users send."""

from __future__ import annotations

import random


def poisson_times(seed: int, rate_per_s: float, stretches_s: tuple[float, ...]) -> tuple[float, ...]:
    """Arrival times of a Poisson process from 0, ascending; the same for the same arguments.

    Each of the successive stretches holds the expected number of arrivals, rounded, at least one: given how
    many there are, the arrivals of a Poisson process are independent and uniform. So a measurement's load is
    what it says, and not that of a lucky draw.

    Source: S. M. Ross, Introduction to Probability Models, theorem 5.2 (conditional arrival times).
    """
    source = random.Random(seed)
    times_s: list[float] = []
    begin_s = 0.0
    for length_s in stretches_s:
        count = max(1, round(rate_per_s * length_s))
        times_s += sorted(begin_s + length_s * source.random() for _ in range(count))
        begin_s += length_s
    return tuple(times_s)
