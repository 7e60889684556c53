"""Holds the arithmetic of a fleet against a replay of its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from autotune.fleet.capability import Capability
from autotune.fleet.replay import REQUESTS, replay
from autotune.fleet.sizing import Fleet

MOST_BALANCED: Final = 64
"""So many machines are replayed at most behind a balancer that knows their load: more gain nothing."""
AGREEMENT: Final = 0.1
"""Latencies that differ by no more than this share agree: a replay of `REQUESTS` knows a p99 no better."""


@dataclass(frozen=True)
class ReplayCheck:
    """The target's percentile of latency, by arithmetic and by replay; both of the service times alone.

    Attributes:
        expected_s: of a queue with the measured service times.
        replayed_s: of a replayed fleet whose requests are spread at random.
        least_busy_s: of one that gives each request to the machine with the fewest.
    """

    expected_s: float
    replayed_s: float
    least_busy_s: float

    @property
    def agrees(self) -> bool:
        """Whether replay and arithmetic say the same."""
        return abs(self.replayed_s / self.expected_s - 1) <= AGREEMENT


def check(capability: Capability, fleet: Fleet, *, requests: int = REQUESTS, seed: int = 0) -> ReplayCheck:
    """Replay a fleet with requests spread at random, and with a balancer that knows who is busy."""
    percentile, rate = fleet.workload.target.percentile, fleet.workload.rate_per_s
    queue = capability.speaking(fleet.rate_per_machine_s, percentile).queue
    few = min(fleet.machines, MOST_BALANCED)
    at_random = replay(
        queue.services_s, queue.servers, fleet.machines, rate, requests=requests, seed=seed
    ).latency_s(percentile)
    balanced = replay(
        queue.services_s,
        queue.servers,
        few,
        rate * few / fleet.machines,
        balancing="least-busy",
        requests=requests,
        seed=seed,
    ).latency_s(percentile)
    return ReplayCheck(queue.latency_s(fleet.rate_per_machine_s, percentile), at_random, balanced)
