"""What a fleet is to serve, and with how much to spare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from autotune.units import format_latency, format_significant

LOWEST_RATE: Final = 1e-3
"""Requests per second: one in a quarter of an hour. Less than that needs no arithmetic."""
HIGHEST_RATE: Final = 1e9
"""Requests per second: several from every person on earth each minute."""
LONGEST_S: Final = 3_600.0
MOST_HEADROOM: Final = 0.95
MOST_SPARE: Final = 1_000
MOST_ZONES: Final = 100


@dataclass(frozen=True)
class LatencyTarget:
    """A percentile of latency that must not exceed `max_s`, counted from when a request is due."""

    percentile: float
    max_s: float

    def __post_init__(self) -> None:
        if not 0 < self.percentile < 100:
            raise ValueError(f"p{self.percentile:g} is no percentile: give one between p1 and p99.9")
        if not (math.isfinite(self.max_s) and 0 < self.max_s <= LONGEST_S):
            raise ValueError(f"a latency of {self.max_s:g} s cannot be kept to: give one of up to an hour")

    @property
    def in_words(self) -> str:
        """`p99 within 20.0 ms`."""
        return f"p{self.percentile:g} within {format_latency(self.max_s)}"


@dataclass(frozen=True)
class Workload:
    """What a fleet is to serve.

    Attributes:
        rate_per_s: requests per second at its peak.
        target: what their latency must keep to.
        headroom: share of the rate that a machine bears at the target which is left free.
        spare: machines that may be lost while the others still have their headroom.
        zones: over which the machines are spread evenly. With more than one, the target is still met when the
            largest of them is lost, though without headroom.

    Raises:
        ValueError: one of them is out of bounds; says which, and what it may be.
    """

    rate_per_s: float
    target: LatencyTarget
    headroom: float = 0.3
    spare: int = 1
    zones: int = 1

    def __post_init__(self) -> None:
        if not LOWEST_RATE <= self.rate_per_s <= HIGHEST_RATE:
            raise ValueError(
                f"a rate of {self.rate_per_s:g} requests per second is none that a fleet is made for: give "
                f"one from {LOWEST_RATE:g} to {HIGHEST_RATE:.0f}"
            )
        if not 0 <= self.headroom <= MOST_HEADROOM:
            raise ValueError(
                f"a headroom of {self.headroom:g} is no share that can be left free: give one from 0 to "
                f"{MOST_HEADROOM:g}, such as 0.3"
            )
        if not 0 <= self.spare <= MOST_SPARE:
            raise ValueError(f"{self.spare} spare machines: give a number from 0 to {MOST_SPARE}")
        if not 1 <= self.zones <= MOST_ZONES:
            raise ValueError(f"{self.zones} zones: give a number from 1 to {MOST_ZONES}")

    @property
    def in_words(self) -> str:
        """`25000 requests/s, p99 within 20.0 ms`."""
        return f"{format_significant(self.rate_per_s)} requests/s, {self.target.in_words}"
