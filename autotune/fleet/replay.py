"""Replays a fleet event by event: requests arrive, are given to machines, wait, and are served.

It knows nothing of the arithmetic that it checks: arrivals, the choice of a machine, and each machine's
queue are events on simpy's clock, and service times are drawn from those that were measured.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from autotune.fleet.workload import LatencyTarget
from autotune.statistics.quantiles import percentile_of

if TYPE_CHECKING:
    from simpy import Environment, Event

Balancing = Literal["by-chance", "least-busy"]
"""Who gets a request: any machine, whatever it does; or that with the fewest requests, as `least_conn`
does."""

REQUESTS: Final = 60_000
"""Of one replay."""
MOST_MACHINES: Final = 8
"""So many are replayed at most where requests are spread at random: machines know nothing of each other then,
and what arrives at a few of many is a Poisson process of their share of the rate."""
SETTLING: Final = 0.1
"""Share of the requests at the beginning that still know that the queues were empty."""


@dataclass(frozen=True)
class FleetReplay:
    """What a replayed fleet gave.

    Attributes:
        machines: that were replayed, of `of` in the fleet.
        latencies_s: of the requests that count, ascending.
    """

    machines: int
    of: int
    rate_per_s: float
    balancing: Balancing
    latencies_s: tuple[float, ...]

    def latency_s(self, percentile: float) -> float:
        """Give a percentile of latency."""
        return percentile_of(self.latencies_s, percentile)


def replay(
    services_s: Sequence[float],
    servers: int,
    machines: int,
    rate_per_s: float,
    *,
    balancing: Balancing = "by-chance",
    requests: int = REQUESTS,
    seed: int = 0,
) -> FleetReplay:
    """Replay a fleet for so many requests.

    Args:
        services_s: a sample of service times.
        servers: requests that a machine serves at the same time.
        rate_per_s: of the whole fleet.
    """
    import simpy  # here: nobody else needs it

    few = min(machines, MOST_MACHINES) if balancing == "by-chance" else machines
    draw = random.Random(seed)
    environment = simpy.Environment()
    fleet = [_Machine(environment, servers) for _ in range(few)]
    choose = _chooser(fleet, draw, balancing)
    own_rate = rate_per_s * few / machines

    def arrive() -> Generator[Event, Any, None]:
        for number, service_s in enumerate(_shuffled(services_s, requests, draw)):
            yield environment.timeout(draw.expovariate(own_rate))
            choose().take(_Request(number, environment.now, service_s))

    environment.process(arrive())
    environment.run()
    answered = [each for machine in fleet for each in machine.answered]
    settled = sorted(latency for number, latency in answered if number >= SETTLING * requests)
    return FleetReplay(few, machines, rate_per_s, balancing, tuple(settled))


def _shuffled(services_s: Sequence[float], requests: int, draw: random.Random) -> list[float]:
    """Give so many service times in random order, each of the sample's as often as any other."""
    times, rest = divmod(requests, len(services_s))
    drawn = [*services_s] * times + draw.sample(services_s, rest)
    draw.shuffle(drawn)
    return drawn


def machines_by_replay(
    services_s: Sequence[float], servers: int, rate_per_s: float, target: LatencyTarget, *, seed: int = 0
) -> int | None:
    """Find by replays alone the fewest machines that keep to a target; None where no number does.

    More machines than serve the bare work are tried by doubling, and then by halving what is left.
    """
    if percentile_of(services_s, target.percentile) > target.max_s:
        return None

    def keeps(machines: int) -> bool:
        found = replay(services_s, servers, machines, rate_per_s, seed=seed)
        return found.latency_s(target.percentile) <= target.max_s

    low = max(1, math.ceil(rate_per_s * statistics.fmean(services_s) / servers))
    step = 1
    high = low
    while not keeps(high):
        low, high, step = high + 1, high + step, 2 * step
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle + 1, high)
    return low


@dataclass(frozen=True)
class _Request:
    """One request: when it is due, and how long it takes once it is begun."""

    number: int
    due_s: float
    service_s: float


class _Machine:
    """A machine under way: its free instances, what waits in its queue, and what it has answered."""

    def __init__(self, environment: Environment, servers: int) -> None:
        self.answered: list[tuple[int, float]] = []
        self.load = 0
        self._environment = environment
        self._free = servers
        self._waiting: deque[_Request] = deque()

    def take(self, request: _Request) -> None:
        """Serve a request now, or put it into the queue."""
        self.load += 1
        if self._free:
            self._free -= 1
            self._begin(request)
        else:
            self._waiting.append(request)

    def _begin(self, request: _Request) -> None:
        ended = self._environment.timeout(request.service_s, request)
        assert ended.callbacks is not None
        ended.callbacks.append(self._end)

    def _end(self, ended: Event) -> None:
        request = ended.value
        assert isinstance(request, _Request)
        self.load -= 1
        self.answered.append((request.number, self._environment.now - request.due_s))
        if self._waiting:
            self._begin(self._waiting.popleft())
        else:
            self._free += 1


def _chooser(fleet: Sequence[_Machine], draw: random.Random, balancing: Balancing) -> Callable[[], _Machine]:
    if balancing == "by-chance":
        return lambda: draw.choice(fleet)

    def least_busy() -> _Machine:
        """Give one of those with the fewest requests; any of them, as real balancers take turns."""
        fewest = min(machine.load for machine in fleet)
        return draw.choice([machine for machine in fleet if machine.load == fewest])

    return least_busy
