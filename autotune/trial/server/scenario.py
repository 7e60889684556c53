"""The `server` scenario of one trial: its workers under Poisson arrivals, at the highest rate they bear."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from autotune.machine.counters import throttled_periods
from autotune.measurement.measurement import Conditions, FailureKind, Generator, Measurement
from autotune.statistics.queueing import Queue
from autotune.trial.asked import Asked
from autotune.trial.conductor import Drain, Exchange, Schedule
from autotune.trial.proof import memory_binding, prove
from autotune.trial.server.load import Load, LoadGenerator, load_generator, put_under_load, site_beside
from autotune.trial.server.rate_search import Demand, RateResult, find_rate
from autotune.trial.watch import Observer
from autotune.worker.failures import InstanceError
from autotune.worker.messages import Ready


@dataclass(frozen=True)
class UnderLoad:
    """A `Conducting` that has a load generator beside the instances."""

    demand: Demand
    generator: LoadGenerator

    @property
    def drains(self) -> tuple[Drain, Drain]:
        """What the generator says."""
        return self.generator, self.generator.stderr

    @property
    def pids(self) -> tuple[int]:
        """The generator's process."""
        return (self.generator.pid,)

    def conduct(
        self, exchange: Exchange, schedule: Schedule, asked: Asked, observer: Observer | None = None
    ) -> Measurement:
        """Find the highest rate."""
        return conduct_server(exchange, schedule, asked, self.demand, self.generator, observer)


@contextmanager
def conducting(cpus: Sequence[Sequence[int]], demand: Demand | None) -> Iterator[UnderLoad]:
    """Have a load generator on cpus that no instance uses, as far as there are any.

    Raises:
        ValueError: there is no demand.
    """
    if demand is None:
        raise ValueError("the scenario server needs a demand")
    with load_generator(site_beside(cpus)) as generator:
        yield UnderLoad(demand, generator)


def conduct_server(
    exchange: Exchange,
    schedule: Schedule,
    asked: Asked,
    demand: Demand,
    generator: LoadGenerator,
    observer: Observer | None = None,
) -> Measurement:
    """Wait for all to be ready, prove that they are what was asked, and find the highest rate.

    Where no rate meets the limit, the measurement is of the last one tried, and its step says so.

    Args:
        observer: looks at the host around every run; None = nobody does, and throttling alone is noticed.

    Raises:
        InstanceError: a worker or the generator failed, is not what was asked, or the runs were disturbed.
    """
    started_s = time.monotonic()
    ready = exchange.gather(Ready)
    observations = tuple(reply.observation for reply in ready)
    prove(asked, observations)

    def put(times_s: Sequence[float], patience_s: float) -> tuple[Load, Conditions | None]:
        return _put_observed(exchange, generator, times_s, patience_s, observer)

    queue = Queue(len(ready), tuple(reply.request_s for reply in ready))
    found = find_rate(put, schedule, demand, queue)
    return Measurement(
        scenario=asked.scenario,
        blocks=found.kept.blocks(),
        observations=observations,
        memory_binding=memory_binding(asked, observations),
        wall_s=time.monotonic() - started_s,
        measuring_s=found.measured_s,
        warmup_s=max(observation.warmup_s for observation in observations),
        dropped=found.dropped,
        stopped=found.stopped,
        rates=tuple(replace(run.step, kept=run is found.kept) for run in found.runs),
        generator=_generator(found, generator),
    )


def _put_observed(
    exchange: Exchange,
    generator: LoadGenerator,
    times_s: Sequence[float],
    patience_s: float,
    observer: Observer | None,
) -> tuple[Load, Conditions | None]:
    if observer is not None:
        observer.before()
        load = put_under_load(exchange, generator, times_s, patience_s)
        return load, observer.after()
    throttled_before = throttled_periods()
    load = put_under_load(exchange, generator, times_s, patience_s)
    throttled = throttled_periods() - throttled_before
    if throttled > 0:
        reason = f"the CPU quota of the cgroup throttled the trial {throttled} times"
        raise InstanceError(FailureKind.DISTURBED, reason)
    return load, None


def _generator(found: RateResult, generator: LoadGenerator) -> Generator:
    return Generator(
        cpus=generator.site.cpus,
        realtime=found.kept.load.realtime,
        late_s=found.kept.step.late_s,
        late_max_s=found.kept.load.late_s(100),
        late_runs=found.late_runs,
    )
