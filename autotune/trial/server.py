"""The `server` scenario: finds the highest arrival rate at which a percentile of latency meets its limit.

Each rate is tried in a run of Poisson arrivals; what a run says of the percentile is said in
`autotune.statistics.queueing`. The replay of the measured service times also says which rate to try next, so
that few runs are needed, but a rate counts only when it was itself measured: short runs find where to look,
and a longer one with other arrivals decides. The search goes on from there, down or up, until it has a rate
that meets the limit and expects none that is `RESOLUTION` higher to do.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

from autotune.machine.counters import throttled_periods
from autotune.spec.study import LatencyLimit
from autotune.statistics.arrivals import poisson_times
from autotune.statistics.queueing import Queue
from autotune.trial.asked import Asked
from autotune.trial.conditions import disturbance, what_disturbed
from autotune.trial.conductor import MAX_REQUESTS_PER_BLOCK, Exchange, Schedule
from autotune.trial.failures import InstanceError
from autotune.trial.load import LoadGenerator, put_under_load, tolerated_delay_s
from autotune.trial.measurement import DroppedBlock, FailureKind, Generator, Measurement, StopReason
from autotune.trial.messages import Ready
from autotune.trial.proof import memory_binding, prove
from autotune.trial.rates import STRETCHES, JudgedRun, Span, judge, needed_requests
from autotune.trial.watch import Observer
from autotune.units import format_latency

RESOLUTION = 0.03
"""A rate is accepted when the highest one is expected to be no more than this share above it."""

SETTLING = 0.1
"""Of a run's length, before it, in which the queue fills. What is left of the empty queue is in the replay of
the same arrivals too, and so corrected."""

GLANCE = 3
"""A run that only finds where to look has this many times fewer requests than one that decides."""

MAX_GLANCES = 3
MAX_DECISIONS = 5

LOWEST = 0.2
"""Share of the capacity below which no rate is tried: requests hardly meet there, so that a limit that is
missed even so is missed by the service times."""

HIGHEST = 0.98
"""Share of the capacity that is tried at most at first."""

PATIENCE = 1.25
"""A run is given up this many times the limit after its last request: who waits then has missed the limit."""

MAX_SPOILED = 3
"""Runs that a trial may lose to a late generator, and as many to a disturbed host."""

HEADROOM = 1.25
"""A run is begun when so many times its length still fits before the deadline."""


@dataclass(frozen=True)
class Demand:
    """What the scenario asks of a trial.

    Attributes:
        seed: of the arrivals.
        start_rate_per_s: where to begin, as found before; None = by the time of a request.
    """

    limit: LatencyLimit
    seed: int = 0
    start_rate_per_s: float | None = None


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

    Raises:
        InstanceError: a worker or the generator failed, is not what was asked, or the runs were disturbed.
    """
    started_s = time.monotonic()
    ready = exchange.gather(Ready)
    observations = tuple(reply.observation for reply in ready)
    prove(asked, observations)
    search = _Search(exchange, schedule, demand, generator, observer)
    kept = search.find(Queue(len(ready), tuple(reply.request_s for reply in ready)))
    return Measurement(
        scenario=asked.scenario,
        blocks=kept.blocks(),
        observations=observations,
        memory_binding=memory_binding(asked, observations),
        wall_s=time.monotonic() - started_s,
        measuring_s=search.measured_s,
        warmup_s=max(observation.warmup_s for observation in observations),
        dropped=tuple(search.dropped),
        stopped=search.stopped,
        rates=tuple(replace(run.step, kept=run is kept) for run in search.runs),
        generator=Generator(
            cpus=generator.site.cpus,
            realtime=kept.load.realtime,
            late_s=kept.step.late_s,
            late_max_s=kept.load.late_s(100),
            late_runs=search.late_runs,
        ),
    )


@dataclass
class _Search:
    """The search for one trial's highest rate.

    Attributes:
        runs: those that are measurements, in order; dropped: those that the host disturbed.
        measured_s: length of all runs.
    """

    exchange: Exchange
    schedule: Schedule
    demand: Demand
    generator: LoadGenerator
    observer: Observer | None
    runs: list[JudgedRun] = field(default_factory=list)
    dropped: list[DroppedBlock] = field(default_factory=list)
    late_runs: int = 0
    measured_s: float = 0.0
    stopped: StopReason = "planned"

    def __post_init__(self) -> None:
        self._needed = needed_requests(self.demand.limit.percentile)
        self._patience_s = PATIENCE * self.demand.limit.max_s

    def find(self, queue: Queue) -> JudgedRun:
        """Find the highest rate; give the run that met the limit at it, or the last one if none did.

        Args:
            queue: with the time of one request of every instance, as the warm-up found it.
        """
        rate = self.demand.start_rate_per_s or self._look(queue)
        accepted: JudgedRun | None = None
        for _ in range(MAX_DECISIONS):
            if rate is None:
                break
            if self.runs and not self._has_time(rate):
                self.stopped = "time"
                break
            run = self._try(rate, self._needed)
            accepted = run if run.step.met else accepted
            rate = self._following(run)
        return accepted or self.runs[-1]

    def _look(self, queue: Queue) -> float | None:
        """Find with short runs where the highest rate is about; None = no rate is worth trying."""
        rate: float | None = self._guess(queue)
        for _ in range(MAX_GLANCES):
            if rate is None:
                return None
            run = self._try(rate, self._needed // GLANCE)
            previous, rate = rate, self._toward(run)
            if rate is not None and abs(math.log(rate / previous)) <= RESOLUTION:
                return rate
        return rate

    def _guess(self, queue: Queue) -> float:
        expected = queue.highest_rate(self.demand.limit.percentile, self.demand.limit.max_s)
        share = LOWEST if expected is None else min(expected / queue.capacity_per_s, HIGHEST)
        return share * queue.capacity_per_s

    def _toward(self, run: JudgedRun) -> float | None:
        """The rate that a run points to; None = the limit is missed at the lowest."""
        if run.expected_per_s is not None:
            return run.expected_per_s
        lower = run.step.rate_per_s / 2
        if lower >= LOWEST * run.capacity_per_s:
            return lower
        return None if run.step.upper_s > self.demand.limit.max_s else run.step.rate_per_s

    def _following(self, run: JudgedRun) -> float | None:
        """The rate to decide on after this one; None = the highest is known, or none is worth trying."""
        rate, toward = run.step.rate_per_s, self._toward(run)
        if toward is None or (run.step.met and toward <= rate * (1 + RESOLUTION)):
            return None
        following = toward if run.step.met else min(toward, rate / (1 + RESOLUTION))
        decided = [one.step for one in self.runs if one.step.requests >= self._needed]
        met = max((step.rate_per_s for step in decided if step.met), default=0.0)
        missed = min((step.rate_per_s for step in decided if not step.met), default=math.inf)
        if met and not met < following < missed:
            following = math.sqrt(met * missed)
        return following if following >= met * math.sqrt(1 + RESOLUTION) else None

    def _wanted_s(self, rate_per_s: float, requests: int) -> float:
        """How long a run should be: for so many requests, and for the plan; but not for too many."""
        blocks = self.schedule.rule.blocks if requests >= self._needed else 1
        wanted_s = max(requests / rate_per_s, blocks * self.schedule.block_s)
        return min(wanted_s, MAX_REQUESTS_PER_BLOCK / rate_per_s / (1 + SETTLING))

    def _left_s(self) -> float:
        """How long a run may be that is begun now."""
        until_deadline_s = self.schedule.deadline_s - time.monotonic() - self._patience_s
        return until_deadline_s / HEADROOM / (1 + SETTLING)

    def _has_time(self, rate_per_s: float) -> bool:
        """Whether another run that decides fits into the trial."""
        wanted_s = self._wanted_s(rate_per_s, self._needed)
        limit_s = self.schedule.rule.max_measuring_s
        if limit_s is not None and self.measured_s + wanted_s > limit_s:
            return False
        return wanted_s <= self._left_s()

    def _try(self, rate_per_s: float, requests: int) -> JudgedRun:
        """Run at a rate, again where the generator was late or the host disturbed it.

        Raises:
            InstanceError: `disturbed`, when that happened too often.
        """
        wanted_s = self._wanted_s(rate_per_s, requests)
        while True:
            length_s = max(min(wanted_s, self._left_s()), 2 * STRETCHES / rate_per_s)
            run = self._run(rate_per_s, Span(SETTLING * length_s, length_s))
            if self._is_measurement(run):
                self.runs.append(run)
                return run

    def _run(self, rate_per_s: float, span: Span) -> JudgedRun:
        times_s = poisson_times(self._next_seed(), rate_per_s, (span.settling_s, span.length_s))
        throttled = throttled_periods()
        if self.observer is not None:
            self.observer.before()
        load = put_under_load(self.exchange, self.generator, times_s, self._patience_s)
        conditions = None if self.observer is None else self.observer.after()
        if conditions is None and throttled_periods() > throttled:
            raise InstanceError(FailureKind.DISTURBED, "the CPU quota of the cgroup throttled the trial")
        self.measured_s += span.settling_s + span.length_s
        return judge(load, span, rate_per_s, self.demand.limit, conditions)

    def _next_seed(self) -> int:
        """Other arrivals for every run, so that none is chosen because its own were lucky twice."""
        return 1_000 * self.demand.seed + len(self.runs) + len(self.dropped) + self.late_runs

    def _is_measurement(self, run: JudgedRun) -> bool:
        """Whether neither the generator nor the host spoiled a run."""
        if run.step.delay_s > tolerated_delay_s(self.demand.limit.max_s):
            self.late_runs += 1
            if self.late_runs > MAX_SPOILED:
                raise InstanceError(FailureKind.DISTURBED, self._what_was_late(run))
            return False
        reason = disturbance(run.conditions) if run.conditions else ""
        if run.conditions is None or not reason or self.schedule.rule.keeps_disturbed:
            return True
        samples_per_s = run.load.samples_per_request[0] * run.step.rate_per_s
        self.dropped.append(DroppedBlock(run.conditions, samples_per_s, reason))
        if len(self.dropped) > MAX_SPOILED:
            conditions = [one.conditions for one in self.dropped]
            why = f"{len(self.dropped)} runs were disturbed: {what_disturbed(conditions)}"
            raise InstanceError(FailureKind.DISTURBED, why)
        return False

    def _what_was_late(self, run: JudgedRun) -> str:
        tolerated_s = tolerated_delay_s(self.demand.limit.max_s)
        where = "on cpus of its own" if self.generator.site.cpus else "among the instances"
        return (
            f"the load generator, {where}, was late in {self.late_runs} runs: in the last one its p99 was "
            f"{format_latency(run.step.late_s)} and delayed requests by {format_latency(run.step.delay_s)}, "
            f"where {format_latency(tolerated_s)} are tolerated"
        )
