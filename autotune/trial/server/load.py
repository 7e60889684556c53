"""Puts one trial's instances under load at one arrival rate: the parent's side of generator and queue."""

from __future__ import annotations

import math
import os
import selectors
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autotune.machine.sysfs import Tree
from autotune.measurement.measurement import FailureKind
from autotune.placement.command import worker_environment
from autotune.placement.placement import Command, ServerProgram
from autotune.statistics.quantiles import percentile_of
from autotune.trial.conductor import LEAD_PER_INSTANCE_S, LEAD_S, Channel, Exchange
from autotune.trial.launcher import Worker, launched
from autotune.trial.watch import siblings
from autotune.worker.failures import InstanceError
from autotune.worker.messages import Send, Sent, Serve, Served
from autotune.worker.queue import shared_queue

LEAD_PER_REQUEST_S = 1e-5
"""More lead for each request: the generator reads their times before the first one."""

LATE_PERCENTILE = 99.0
"""A run in which more than 1 % of the requests were delayed by the generator is not a measurement."""

LATE_S = 0.001
"""A delay of less than this counts as none: what is measured here does not answer faster."""

LATE_SHARE = 0.05
"""A delay of less than this share of the limit counts as none. What is left makes latencies longer, never
shorter, as they count from the intended time; at load 0.85 it is as much as 0.7 % of rate."""

_EXIT_S = 1.0


@dataclass(frozen=True)
class Site:
    """Where the generator runs.

    Attributes:
        cpus: those that no instance uses; empty = none is left, so the kernel decides.
        is_alone: they are cores of its own, of which no instance uses a sibling either.
    """

    cpus: tuple[int, ...]
    is_alone: bool


def generator_site(instances: Sequence[Sequence[int]], allowed: frozenset[int], tree: Tree) -> Site:
    """Find room beside the instances, whose cpus are given; one without cpus of its own uses all."""
    used = allowed if not all(instances) else frozenset(cpu for cpus in instances for cpu in cpus)
    free = allowed - used
    alone = frozenset(cpu for cpu in free if not siblings(tree, cpu) & used)
    return Site(tuple(sorted(alone or free)), bool(alone))


def site_beside(instances: Sequence[Sequence[int]]) -> Site:
    """`generator_site` on this machine, on the cpus that this process may use."""
    return generator_site(instances, frozenset(os.sched_getaffinity(0)), Tree(Path("/")))


class LoadGenerator:
    """The connection to the generator; what it says is read while the exchange waits for the instances."""

    def __init__(self, process: Worker, site: Site) -> None:
        self.site = site
        self.pid = process.pid
        self.stderr = process.stderr
        self._process = process
        self._channel: Channel = process.channel
        self._reports: list[Sent] = []

    def fileno(self) -> int:
        """What to wait on."""
        return self._channel.fileno()

    def drain(self) -> bool:
        """Read what there is.

        Raises:
            InstanceError: the generator has ended, or said something else than when it sent.
        """
        try:
            messages = self._channel.receive()
        except InstanceError as error:
            raise InstanceError(FailureKind.DISTURBED, f"the load generator {self._how(error)}") from error
        for message in messages:
            if not isinstance(message, Sent):
                reason = f"the load generator sent {type(message).__name__} out of turn"
                raise InstanceError(FailureKind.CRASH, reason)
            self._reports.append(message)
        return True

    def send(self, order: Send) -> None:
        """Have requests sent."""
        self._channel.send(order)

    def report(self, deadline_s: float) -> Sent:
        """When the requests of the last order were sent; blocks for it.

        Raises:
            InstanceError: it did not say so in time, or has ended.
        """
        while not self._reports:
            if not self._is_heard(deadline_s - time.monotonic()):
                raise InstanceError(FailureKind.TIMEOUT, "the time limit was reached by the load generator")
            self.drain()
        return self._reports.pop()

    def _is_heard(self, within_s: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            return bool(selector.select(max(0.0, within_s)))

    def _how(self, error: InstanceError) -> str:
        if not error.ended:
            return error.reason
        status = self._process.exit_status(_EXIT_S)
        if status is not None and status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        last_line = self.stderr.text().rpartition("\n")[2]
        return f"ended with exit status {status}: {last_line}"


@contextmanager
def load_generator(site: Site) -> Iterator[LoadGenerator]:
    """Start the generator; at the end, however it comes, it is gone.

    Raises:
        InstanceError: it could not be started.
    """
    options = ("--alone",) if site.is_alone else ()
    interpreter = os.path.abspath(sys.executable)  # noqa: PTH100 - keeps links, by which environments are known
    command = Command(
        program=ServerProgram((interpreter, "-P", "-m", "autotune.worker.generator", *options)),
        environment=worker_environment(os.environ, {}, pinned=True),
        cpus=site.cpus,
        memory_nodes=(),
    )
    with launched([command]) as (process,):
        yield LoadGenerator(process, site)


@dataclass(frozen=True)
class SentRequest:
    """One request of a run.

    Attributes:
        time_s: when it was to be sent; sent_s: when it was in the queue; infinite = there was no room.
        begun_s, end_s: when an instance took it and answered it; infinite = none did.
        instance: which one; -1 = none.
        hits: sequences whose answer came from its cache.
    """

    time_s: float
    sent_s: float
    begun_s: float = math.inf
    end_s: float = math.inf
    instance: int = -1
    hits: int = 0

    @property
    def late_s(self) -> float:
        """By how much the generator was late."""
        return 0.0 if math.isinf(self.sent_s) else self.sent_s - self.time_s


@dataclass(frozen=True)
class Load:
    """What a run asked and what came of it.

    Attributes:
        start_s: the common start.
        given_up_s: after which no request was begun.
        requests: in the order of their times.
        samples_per_request: by instance.
        realtime: the kernel permitted the generator to preempt others.
    """

    start_s: float
    given_up_s: float
    requests: tuple[SentRequest, ...]
    samples_per_request: tuple[int, ...]
    realtime: bool

    def late_s(self, percentile: float = LATE_PERCENTILE) -> float:
        """By how much the generator was late."""
        return percentile_of([request.late_s for request in self.requests], percentile)

    def delay_s(self, percentile: float = LATE_PERCENTILE) -> float:
        """By how much its lateness delayed requests.

        A request that was sent late is delayed only from when an instance was free for it: while all are
        busy, it would have waited anyway.
        """
        return percentile_of(list(_delays_s(self.requests)), percentile)


def tolerated_delay_s(limit_s: float) -> float:
    """How much delay counts as none."""
    return max(LATE_S, LATE_SHARE * limit_s)


def put_under_load(
    exchange: Exchange, generator: LoadGenerator, times_s: Sequence[float], patience_s: float
) -> Load:
    """Send requests at these times from a common start, and wait until all are answered or given up.

    Args:
        times_s: ascending, from the start.
        patience_s: from the last of them until the run is given up.

    Raises:
        InstanceError: an instance or the generator failed, or the deadline came.
    """
    instances = len(exchange.channels)
    lead_s = LEAD_S + LEAD_PER_INSTANCE_S * instances + LEAD_PER_REQUEST_S * len(times_s)
    with shared_queue() as queue:
        start_s = time.monotonic() + lead_s
        absolute_s = tuple(start_s + time_s for time_s in times_s)
        given_up_s = absolute_s[-1] + patience_s
        generator.send(Send(queue.put, absolute_s, instances))
        exchange.tell(Serve(queue.take, given_up_s))
        served = exchange.gather(Served)
    sent = generator.report(exchange.deadline_s)
    samples = tuple(part.samples_per_request for part in served)
    return Load(start_s, given_up_s, _requests(absolute_s, sent, served), samples, sent.realtime)


def _requests(times_s: Sequence[float], sent: Sent, served: Sequence[Served]) -> tuple[SentRequest, ...]:
    """Join what generator and instances say."""
    if len(sent.sent_s) > len(times_s):
        raise InstanceError(FailureKind.CRASH, f"the load generator sent {len(sent.sent_s)} requests")
    unsent = [math.inf] * (len(times_s) - len(sent.sent_s))
    requests = [SentRequest(*pair) for pair in zip(times_s, (*sent.sent_s, *unsent), strict=True)]
    for instance, part in enumerate(served):
        hits = part.hits or (0,) * len(part.requests)
        for number, begun_s, ends_s, hit in zip(part.requests, part.begun_s, part.ends_s, hits, strict=True):
            if number >= len(requests) or requests[number].instance >= 0:
                reason = f"answered the request {number}, which was not its own"
                raise InstanceError(FailureKind.CRASH, reason, instance=instance)
            asked = requests[number]
            requests[number] = SentRequest(asked.time_s, asked.sent_s, begun_s, ends_s, instance, hit)
    return tuple(requests)


def _delays_s(requests: Sequence[SentRequest]) -> Iterator[float]:
    free_s: dict[int, float] = {}
    for request in sorted(requests, key=lambda one: one.begun_s):
        if request.instance < 0:
            yield 0.0
            continue
        possible_s = max(request.time_s, free_s.get(request.instance, -math.inf))
        yield max(0.0, request.sent_s - possible_s)
        free_s[request.instance] = request.end_s
