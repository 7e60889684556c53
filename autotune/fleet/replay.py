"""Replays a fleet event by event: requests arrive, are given to machines, wait, and are served.

It knows nothing of the arithmetic that it checks: arrivals, the choice of a machine, and each machine's
queue are events on simpy's clock, and service times are drawn from those that were measured.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from autotune.fleet.workload import LatencyTarget
from autotune.statistics.quantiles import percentile_of, rank

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
EVENTS: Final = 1_000
"""So many are replayed at a time, before somebody looks at what was answered."""
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
    run = _Run(tuple(services_s), servers, machines, rate_per_s, balancing, requests, seed)
    settled = sorted(latency for number, latency in run.answered() if number >= run.settling)
    return FleetReplay(run.replayed, machines, rate_per_s, balancing, tuple(settled))


def keeps_to(
    target: LatencyTarget,
    services_s: Sequence[float],
    servers: int,
    machines: int,
    rate_per_s: float,
    *,
    requests: int = REQUESTS,
    seed: int = 0,
) -> bool:
    """Tell whether a fleet whose requests are spread at random keeps to a target, as `replay` has it.

    The replay ends as soon as more requests are late than may be, which is soon where machines are too few.
    """
    run = _Run(tuple(services_s), servers, machines, rate_per_s, "by-chance", requests, seed)
    counted = requests - run.settling
    allowed = counted - rank(counted, target.percentile)
    late = 0
    for number, latency_s in run.answered():
        late += number >= run.settling and latency_s > target.max_s
        if late > allowed:
            return False
    return True


@dataclass(frozen=True)
class _Run:
    """What is replayed; see `replay`."""

    services_s: tuple[float, ...]
    servers: int
    machines: int
    rate_per_s: float
    balancing: Balancing
    requests: int
    seed: int

    @property
    def replayed(self) -> int:
        """Machines that are replayed."""
        return min(self.machines, MOST_MACHINES) if self.balancing == "by-chance" else self.machines

    @property
    def settling(self) -> int:
        """Requests at the beginning that do not count."""
        return math.ceil(SETTLING * self.requests)

    def answered(self) -> Iterator[tuple[int, float]]:
        """Replay the events, and give every request's number and latency once it is answered."""
        import simpy  # here: nobody else needs it

        draw = random.Random(self.seed)
        environment = simpy.Environment()
        answered: list[tuple[int, float]] = []
        fleet = [_Machine(environment, self.servers, answered) for _ in range(self.replayed)]
        choose = _chooser(fleet, draw, self.balancing)
        own_rate = self.rate_per_s * self.replayed / self.machines

        def arrive() -> Generator[Event, Any, None]:
            for number, service_s in enumerate(_drawn(self.services_s, self.requests, draw)):
                yield environment.timeout(draw.expovariate(own_rate))
                choose().take(_Request(number, environment.now, service_s))

        environment.process(arrive())
        while environment.peek() < math.inf:
            with suppress(simpy.core.EmptySchedule):
                for _ in range(EVENTS):
                    environment.step()
            yield from answered
            answered.clear()


def _drawn(services_s: Sequence[float], requests: int, draw: random.Random) -> list[float]:
    """Give a service time for each request.

    Of the requests that count, each of the sample's is as many's as any other: how many stragglers there are
    is no matter of chance.
    """
    settling = math.ceil(SETTLING * requests)
    ascending, count = sorted(services_s), requests - settling
    counted = [ascending[(2 * index + 1) * len(ascending) // (2 * count)] for index in range(count)]
    draw.shuffle(counted)
    return [*draw.choices(ascending, k=settling), *counted]


def machines_by_replay(
    services_s: Sequence[float], servers: int, rate_per_s: float, target: LatencyTarget, *, seed: int = 0
) -> int | None:
    """Find by replays alone the fewest machines that keep to a target; None where no number does.

    More machines than serve the bare work are tried by doubling, and then by halving what is left.
    """
    if percentile_of(services_s, target.percentile) > target.max_s:
        return None

    def keeps(machines: int) -> bool:
        return keeps_to(target, services_s, servers, machines, rate_per_s, seed=seed)

    low = max(1, math.ceil(rate_per_s * statistics.fmean(services_s) / servers))
    step = 1
    high = low
    while not keeps(high):
        low, high, step = high + 1, high + step, 2 * step
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle + 1, high)
    return low


class _Request(NamedTuple):
    """One request: when it is due, and how long it takes once it is begun."""

    number: int
    due_s: float
    service_s: float


class _Machine:
    """A machine under way: its free instances, what waits in its queue, and where its answers go."""

    def __init__(self, environment: Environment, servers: int, answered: list[tuple[int, float]]) -> None:
        self.load = 0
        self._answered = answered
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
        self._answered.append((request.number, self._environment.now - request.due_s))
        if self._waiting:
            self._begin(self._waiting.popleft())
        else:
            self._free += 1


def _chooser(fleet: Sequence[_Machine], draw: random.Random, balancing: Balancing) -> Callable[[], _Machine]:
    if len(fleet) == 1:
        return lambda: fleet[0]
    if balancing == "by-chance":
        return lambda: draw.choice(fleet)

    def least_busy() -> _Machine:
        """Give one of those with the fewest requests; any of them, as real balancers take turns."""
        fewest = min(machine.load for machine in fleet)
        return draw.choice([machine for machine in fleet if machine.load == fewest])

    return least_busy
