"""Finds the highest arrival rate at which a percentile of latency meets its limit.

Each rate is tried in a run of Poisson arrivals; what a run says of the percentile is said in
`autotune.statistics.queueing`. The replay of the measured service times also says which rate to try next, so
that few runs are needed, but a rate counts only when it was itself measured: short runs find where to look,
and a longer one with other arrivals decides. The search goes on from there, down or up, until it has a rate
that meets the limit and expects none that is `RESOLUTION` higher to do.

Knows nothing of processes, so that a simulation drives it with virtual runs and a virtual clock.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from autotune.measurement.conditions import hard_fact, what_disturbed
from autotune.measurement.measurement import Conditions, DroppedBlock, FailureKind, RateStep, StopReason
from autotune.measurement.steps import needed_requests
from autotune.spec.study import LatencyLimit
from autotune.statistics.arrivals import poisson_times
from autotune.statistics.queueing import Queue
from autotune.trial.conductor import MAX_REQUESTS_PER_BLOCK, Schedule
from autotune.trial.server.load import Load, tolerated_delay_s
from autotune.trial.server.rates import STRETCHES, JudgedRun, Span, is_judgeable, judge
from autotune.units import format_latency
from autotune.worker.failures import InstanceError

RESOLUTION = 0.03
"""A rate is accepted when the highest one is expected to be no more than this share above it."""

SETTLING = 0.1
"""Of a run's length, before it, in which the queue fills. What is left of the empty queue is in the replay of
the same arrivals too, and so corrected."""

GLANCE = 3
"""A run that only finds where to look has this many times fewer requests than one that decides."""

FEWEST = 50
"""Requests of any run."""

MAX_GLANCES = 3
MAX_DECISIONS = 5

LOWEST = 0.25
"""Share of the capacity below which no rate is tried: three of four requests do not wait there, so that a
limit that is missed even so is missed by the service times; and the fewer come, the longer a run takes."""

NEAR_LOWEST = 1.2
"""Up to so many times the lowest rate, nothing is gained by trying that one too."""

HIGHEST = 0.98
"""Share of the capacity that is tried at most at first."""

BEATEN = 1.25
"""A rival that bears so many times as much is better, however inexact a run's expectation is: rates that are
found twice vary by far less."""

PATIENCE = 1.25
"""A run is given up this many times the limit after its last request: who waits then has missed the limit."""

SHARES = 3
"""So many times its share of the budget may a trial take that has found no rate yet."""

MAX_SPOILED = 3
"""Runs that a trial may lose to a late generator, as many to a disturbed host, as many to a standstill."""

HEADROOM = 1.25
"""A run is begun when so many times its length still fits before the deadline."""


@dataclass(frozen=True)
class Demand:
    """What the scenario asks of a trial.

    Attributes:
        seed: of the arrivals.
        start_rate_per_s: where to begin, as found before; None = by the time of a request.
        is_fixed: measure for one block at that rate, and look for no other.
    """

    limit: LatencyLimit
    seed: int = 0
    start_rate_per_s: float | None = None
    is_fixed: bool = False


Put = Callable[[tuple[float, ...], float], tuple[Load, Conditions | None]]
"""Puts the instances under load: sends requests at these times from a common start, gives up so long after
the last one, and says what came of it, and what the host did meanwhile where somebody looks."""


@dataclass(frozen=True)
class RateResult:
    """What a search found.

    Attributes:
        kept: the run that met the limit at the highest rate, or the last one if none did.
        runs: those that are measurements, in order; dropped: those that the host disturbed.
        late_runs: how many were repeated because the generator was late.
        measured_s: length of all.
    """

    kept: JudgedRun
    runs: tuple[JudgedRun, ...]
    dropped: tuple[DroppedBlock, ...]
    late_runs: int
    measured_s: float
    stopped: StopReason


def find_rate(
    put: Put,
    schedule: Schedule,
    demand: Demand,
    queue: Queue,
    clock: Callable[[], float] = time.monotonic,
) -> RateResult:
    """Search.

    Args:
        schedule: the deadline by `clock`; runs that decide last at least its `blocks` blocks.
        queue: with the time of one request of every instance, as the warm-up found it.

    Raises:
        InstanceError: `disturbed`, when too many runs were.
    """
    search = _Search(put, schedule, demand, clock)
    kept = search.find(queue)
    return RateResult(
        kept,
        tuple(search.runs),
        tuple(search.dropped),
        search.late_runs,
        search.measured_s,
        search.stopped,
    )


@dataclass
class _Search:
    """A search under way; see `RateResult`."""

    put: Put
    schedule: Schedule
    demand: Demand
    clock: Callable[[], float]
    runs: list[JudgedRun] = field(default_factory=list)
    decisions: list[RateStep] = field(default_factory=list)
    dropped: list[DroppedBlock] = field(default_factory=list)
    late_runs: int = 0
    stalled_runs: int = 0
    measured_s: float = 0.0
    stopped: StopReason = "planned"

    def __post_init__(self) -> None:
        self._needed = needed_requests(self.demand.limit.percentile)
        self._patience_s = PATIENCE * self.demand.limit.max_s

    def find(self, queue: Queue) -> JudgedRun:
        """Find the highest rate; give the run that met the limit at it, or the last one if none did."""
        rate = self.demand.start_rate_per_s or self._look(queue)
        if self.demand.is_fixed and rate is not None:
            return self._try(rate, 0)
        accepted: JudgedRun | None = None
        for _ in range(MAX_DECISIONS):
            if rate is None:
                break
            if self.runs and not self._has_time(rate, accepted):
                self.stopped = "time"
                break
            run = self._try(rate, self._needed)
            self.decisions.append(run.step)
            accepted = run if run.step.met else accepted
            if accepted and self._is_beaten(run):
                self.stopped = "worse"
                break
            rate = self._following(run)
        return accepted or self.runs[-1]

    def _look(self, queue: Queue) -> float | None:
        """Find with short runs where the highest rate is about; None = no rate is worth trying."""
        rate: float | None = self._guess(queue)
        for _ in range(MAX_GLANCES):
            if rate is None:
                return None
            run = self._try(rate, max(FEWEST, self._needed // GLANCE))
            previous, rate = rate, self._toward(run)
            if rate is not None and abs(math.log(rate / previous)) <= RESOLUTION:
                return rate
        return rate

    def _guess(self, queue: Queue) -> float:
        expected = queue.highest_rate(self.demand.limit.percentile, self.demand.limit.max_s)
        share = LOWEST if expected is None else min(expected / queue.capacity_per_s, HIGHEST)
        return share * queue.capacity_per_s

    def _toward(self, run: JudgedRun) -> float | None:
        """The rate that a run points to; None = the limit is missed at the lowest, or without any queue."""
        rate, lowest = run.step.rate_per_s, LOWEST * run.capacity_per_s
        if run.expected_per_s is not None and run.expected_per_s >= lowest:
            return run.expected_per_s
        if run.service_s > self.demand.limit.max_s:
            return None
        if rate > NEAR_LOWEST * lowest:
            return lowest
        return None if run.step.latency_s > self.demand.limit.max_s else rate

    def _following(self, run: JudgedRun) -> float | None:
        """The rate to decide on after this one; None = the highest is known, or none is worth trying."""
        rate, toward = run.step.rate_per_s, self._toward(run)
        if toward is None or (run.step.met and toward <= rate * (1 + RESOLUTION)):
            return None
        following = toward if run.step.met else min(toward, rate / (1 + RESOLUTION))
        met = max((step.rate_per_s for step in self.decisions if step.met), default=0.0)
        missed = min((step.rate_per_s for step in self.decisions if not step.met), default=math.inf)
        if met and not met < following < missed:
            following = math.sqrt(met * missed)
        return following if following >= met * math.sqrt(1 + RESOLUTION) else None

    def _is_beaten(self, run: JudgedRun) -> bool:
        """Whether the rival bears so much more that the exact rate is of no interest."""
        rival = self.schedule.rule.rival
        if rival is None:
            return False
        highest_sps = run.load.samples_per_request[0] * max(run.step.rate_per_s, run.expected_per_s or 0.0)
        rule = self.schedule.rule
        highest = rule.objective.goodness(rule.score_at(highest_sps))
        return BEATEN * highest < statistics.fmean(rival.goodness)

    def _wanted_s(self, rate_per_s: float, requests: int) -> float:
        """How long a run should be: for so many requests, and for the plan; but not for too many."""
        blocks = self.schedule.rule.blocks if requests >= self._needed else 1
        wanted_s = max(requests / rate_per_s, blocks * self.schedule.block_s)
        return min(wanted_s, MAX_REQUESTS_PER_BLOCK / rate_per_s / (1 + SETTLING))

    def _left_s(self) -> float:
        """How long a run may be that is begun now."""
        until_deadline_s = self.schedule.deadline_s - self.clock() - self._patience_s
        return until_deadline_s / HEADROOM / (1 + SETTLING)

    def _has_time(self, rate_per_s: float, accepted: JudgedRun | None) -> bool:
        """Whether another run that decides fits into the trial, and into its share of the budget."""
        wanted_s = self._wanted_s(rate_per_s, self._needed)
        share_s = self.schedule.rule.max_measuring_s or math.inf
        if self.measured_s + wanted_s > share_s * (1 if accepted else SHARES):
            return False
        return wanted_s <= self._left_s()

    def _try(self, rate_per_s: float, requests: int) -> JudgedRun:
        """Run at a rate, again where the generator was late, the host stopped it, or all stood still.

        Raises:
            InstanceError: `disturbed` or `timeout`, when that happened too often.
        """
        wanted_s = self._wanted_s(rate_per_s, requests)
        while True:
            length_s = max(min(wanted_s, self._left_s()), 2 * STRETCHES / rate_per_s)
            run = self._run(rate_per_s, Span(SETTLING * length_s, length_s))
            if run is not None and self._is_measurement(run):
                self.runs.append(run)
                return run

    def _run(self, rate_per_s: float, span: Span) -> JudgedRun | None:
        """One run; None where hardly anything was answered, as when the whole machine is paused.

        Raises:
            InstanceError: `timeout`, when that happened too often.
        """
        times_s = poisson_times(self._next_seed(), rate_per_s, (span.settling_s, span.length_s))
        load, conditions = self.put(times_s, self._patience_s)
        self.measured_s += span.settling_s + span.length_s
        if is_judgeable(load, span):
            return judge(load, span, rate_per_s, self.demand.limit, conditions)
        self.stalled_runs += 1
        if self.stalled_runs > MAX_SPOILED:
            raise InstanceError(FailureKind.TIMEOUT, self._what_was_answered(load, rate_per_s))
        return None

    def _next_seed(self) -> int:
        """Other arrivals for every run, so that none is chosen because its own were lucky twice."""
        return (
            1_000 * self.demand.seed + len(self.runs) + len(self.dropped) + self.late_runs + self.stalled_runs
        )

    def _is_measurement(self, run: JudgedRun) -> bool:
        """Whether neither the generator nor a hard fact spoiled a run."""
        if run.step.delay_s > tolerated_delay_s(self.demand.limit.max_s):
            self.late_runs += 1
            if self.late_runs > MAX_SPOILED:
                raise InstanceError(FailureKind.DISTURBED, self._what_was_late(run))
            return False
        reason = hard_fact(run.conditions) if run.conditions else ""
        if run.conditions is None or not reason or self.schedule.rule.treatment == "keep":
            return True
        samples_per_s = run.load.samples_per_request[0] * run.step.rate_per_s
        score = self.schedule.rule.score_at(samples_per_s)
        self.dropped.append(DroppedBlock(run.conditions, score, reason))
        if len(self.dropped) > MAX_SPOILED:
            conditions = [one.conditions for one in self.dropped]
            why = f"{len(self.dropped)} runs were disturbed: {what_disturbed(conditions)}"
            raise InstanceError(FailureKind.DISTURBED, why)
        return False

    def _what_was_answered(self, load: Load, rate_per_s: float) -> str:
        answered = sum(request.instance >= 0 for request in load.requests)
        return (
            f"the instances came to a standstill in {self.stalled_runs} runs: in the last one, at "
            f"{rate_per_s:.3g} requests per second, {answered} of {len(load.requests)} were answered before "
            "it was given up"
        )

    def _what_was_late(self, run: JudgedRun) -> str:
        tolerated_s = tolerated_delay_s(self.demand.limit.max_s)
        return (
            f"the load generator was late in {self.late_runs} runs: in the last one its p99 was "
            f"{format_latency(run.step.late_s)} and delayed requests by {format_latency(run.step.delay_s)}, "
            f"where {format_latency(tolerated_s)} are tolerated"
        )
