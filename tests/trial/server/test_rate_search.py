"""The search for the highest rate, against queues that are simulated: no processes, no waiting."""

from __future__ import annotations

import heapq
import math
import statistics
from dataclasses import dataclass, replace

import numpy as np
import pytest

from autotune.measurement.measurement import Conditions, FailureKind
from autotune.measurement.steps import needed_requests, shown_latency_s
from autotune.objectives.throughput import THROUGHPUT
from autotune.spec.study import DisturbedTreatment, LatencyLimit
from autotune.statistics.queueing import Queue, fifo_latencies
from autotune.trial.conductor import Schedule
from autotune.trial.server.load import Load, SentRequest
from autotune.trial.server.rate_search import MAX_SPOILED, RESOLUTION, Demand, RateResult, find_rate
from autotune.trial.stopping import Rival, Rule
from autotune.worker.failures import InstanceError

SERVICE_S = 0.01
QUIET = Conditions(window_s=1.0)
NOISY = Conditions(1.0, throttled_periods=3)


@dataclass
class SimulatedServers:
    """Instances whose service times vary by 5 %, on a clock of their own.

    Attributes:
        slowness: their service times are so many times longer than `SERVICE_S`.
        late_s: how late the generator is with every request.
        paused_s: how long they all stand still from the start, run by run; the last one stays.
        conditions: what the host did, likewise.
    """

    servers: int = 1
    slowness: float = 1.0
    late_s: float = 0.0
    paused_s: tuple[float, ...] = (0.0,)
    conditions: tuple[Conditions | None, ...] = (None,)
    seed: int = 1
    now_s: float = 0.0
    runs: int = 0

    def clock(self) -> float:
        return self.now_s

    def put(self, times_s: tuple[float, ...], patience_s: float) -> tuple[Load, Conditions | None]:
        start_s = self.now_s
        given_up_s = start_s + times_s[-1] + patience_s
        random = np.random.default_rng([self.seed, self.runs])
        services = SERVICE_S * self.slowness * random.lognormal(0, 0.05, len(times_s))
        ready_s = start_s + self.paused_s[min(self.runs, len(self.paused_s) - 1)]
        free = [(ready_s, instance) for instance in range(self.servers)]
        requests = []
        for time_s, service_s in zip(times_s, services.tolist(), strict=True):
            due_s, sent_s = start_s + time_s, start_s + time_s + self.late_s
            begun_s, instance = max(free[0][0], sent_s), free[0][1]
            if begun_s > given_up_s:
                requests.append(SentRequest(due_s, sent_s))
                continue
            requests.append(SentRequest(due_s, sent_s, begun_s, begun_s + service_s, instance))
            heapq.heapreplace(free, (begun_s + service_s, instance))
        self.now_s = max(given_up_s, *(end_s for end_s, _ in free))
        conditions = self.conditions[min(self.runs, len(self.conditions) - 1)]
        self.runs += 1
        return Load(start_s, given_up_s, tuple(requests), (4,) * self.servers, realtime=False), conditions


def search(
    world: SimulatedServers,
    limit: LatencyLimit,
    *,
    seed: int = 0,
    within_s: float = 180.0,
    max_measuring_s: float | None = None,
    treatment: DisturbedTreatment = "correct",
    rival: Rival | None = None,
    **demand: object,
) -> RateResult:
    rule = Rule(
        "server",
        THROUGHPUT,
        blocks=3,
        max_blocks=8,
        max_measuring_s=max_measuring_s,
        treatment=treatment,
        rival=rival,
    )
    asked = replace(Demand(limit, seed), **demand)  # type: ignore[arg-type]
    queue = Queue(world.servers, (SERVICE_S,) * world.servers)
    return find_rate(world.put, Schedule(1.0, rule, within_s), asked, queue, world.clock)


def true_rate(servers: int, limit: LatencyLimit) -> float:
    """By bisection over long simulated runs, with other random numbers than the search replays."""
    random = np.random.default_rng(99)
    count = 1_000_000 if servers == 1 else 200_000
    gaps, services = random.exponential(1, count), SERVICE_S * random.lognormal(0, 0.05, count)

    def is_met(rate: float) -> bool:
        latencies = fifo_latencies(np.cumsum(gaps) / rate, services, servers)
        return float(np.percentile(latencies[1_000:], limit.percentile)) <= limit.max_s

    low, high = 0.0, servers / SERVICE_S
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (middle, high) if is_met(middle) else (low, middle)
    return low


def limit(percentile: float, max_s: float) -> LatencyLimit:
    return LatencyLimit(percentile=percentile, max_s=max_s)


@pytest.mark.parametrize(
    ("servers", "asked"),
    [(1, limit(99, 0.05)), (1, limit(90, 0.02)), (2, limit(90, 0.03))],
    ids=str,
)
def test_the_highest_rate_is_found_within_a_few_per_cent(servers: int, asked: LatencyLimit) -> None:
    truth = true_rate(servers, asked)
    found = [search(SimulatedServers(servers, seed=seed), asked, seed=seed) for seed in range(4)]
    ratios = [one.kept.step.rate_per_s / truth for one in found]
    assert all(one.kept.step.met for one in found)
    assert all(0.75 < ratio < 1.05 for ratio in ratios)
    assert 0.82 < statistics.fmean(ratios) < 1.01
    assert max(len(one.runs) for one in found) <= 8


@pytest.mark.parametrize("percentile", [90.0, 99.0])
def test_what_is_kept_met_the_limit_with_requests_enough(percentile: float) -> None:
    found = search(SimulatedServers(), limit(percentile, 0.04))
    step = found.kept.step
    assert step.met
    assert step.upper_s <= 0.04
    assert step.requests >= needed_requests(percentile)
    assert shown_latency_s(step) == step.upper_s
    assert found.stopped == "planned"
    blocks = found.kept.blocks()
    assert len(blocks) == 10
    assert sum(len(part.ends_s) for block in blocks for part in block.instances) == step.requests
    ends = [block.end_s for block in blocks]
    assert ends[:-1] == pytest.approx([block.start_s for block in blocks[1:]])


def test_a_search_that_begins_where_it_ended_needs_few_runs() -> None:
    first = search(SimulatedServers(), limit(90, 0.03)).kept.step.rate_per_s
    again = search(SimulatedServers(seed=2), limit(90, 0.03), seed=5, start_rate_per_s=first)
    assert len(again.runs) <= 4
    assert again.kept.step.rate_per_s == pytest.approx(first, rel=0.1)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_start_far_off_is_left(factor: float) -> None:
    truth = true_rate(1, limit(90, 0.03))
    found = search(SimulatedServers(), limit(90, 0.03), start_rate_per_s=factor * truth)
    assert found.kept.step.met
    assert found.kept.step.rate_per_s == pytest.approx(truth, rel=0.12)


def test_a_warm_up_that_promised_too_much_is_corrected() -> None:
    world = SimulatedServers(slowness=3.0)
    found = search(world, limit(90, 0.09))
    assert found.kept.step.met
    assert found.kept.step.rate_per_s == pytest.approx(true_rate(1, limit(90, 0.03)) / 3, rel=0.12)


def test_a_limit_below_the_service_time_is_missed_after_one_run() -> None:
    found = search(SimulatedServers(), limit(90, 0.008))
    assert len(found.runs) == 1
    assert not found.kept.step.met
    assert shown_latency_s(found.kept.step) > 0.008


def test_requests_that_were_never_begun_count_as_missed() -> None:
    found = search(SimulatedServers(), limit(90, 0.03), start_rate_per_s=200.0, is_fixed=True)
    (run,) = found.runs
    assert run.step.waiting > 10
    assert not run.step.met
    assert run.step.latency_s > 0.03
    waiting = [waited for block in run.blocks() for waited in block.waiting_s]
    assert len(waiting) == run.step.waiting
    assert min(waiting) > 0.03


def test_a_fixed_rate_is_measured_once() -> None:
    found = search(SimulatedServers(), limit(90, 0.03), start_rate_per_s=20.0, is_fixed=True)
    assert [run.step.rate_per_s for run in found.runs] == [20.0]


def test_too_few_requests_within_the_time_limit_decide_nothing() -> None:
    found = search(SimulatedServers(), limit(99, 0.03), within_s=4.0)
    assert found.stopped == "time"
    assert not found.kept.step.met
    assert found.kept.step.requests < needed_requests(99)
    assert shown_latency_s(found.kept.step) > 0.03


def test_a_search_that_a_rival_beats_by_far_ends_with_the_first_rate_that_is_met() -> None:
    alone = search(SimulatedServers(), limit(99, 0.05), start_rate_per_s=30.0)
    close = search(SimulatedServers(), limit(99, 0.05), start_rate_per_s=30.0, rival=Rival((230.0,), 0.0, 0))
    beaten = search(SimulatedServers(), limit(99, 0.05), start_rate_per_s=30.0, rival=Rival((900.0,), 0.0, 0))
    assert len(alone.runs) > 1
    assert close.kept.step == alone.kept.step
    assert (len(beaten.runs), beaten.stopped, beaten.kept.step.met) == (1, "worse", True)


def test_no_run_is_begun_beyond_the_time_for_measuring() -> None:
    long = search(SimulatedServers(), limit(99, 0.05), seed=3)
    short = search(SimulatedServers(), limit(99, 0.05), seed=3, max_measuring_s=3.0)
    assert short.stopped == "time"
    assert short.measured_s < long.measured_s


def test_every_run_has_arrivals_of_its_own_and_a_seed_gives_them_again() -> None:
    def times(seed: int) -> list[list[float]]:
        found = search(SimulatedServers(), limit(90, 0.03), seed=seed)
        return [[request.time_s - run.load.start_s for request in run.load.requests] for run in found.runs]

    first = times(1)
    assert len(first) > 1
    assert times(1) == first
    assert times(2) != first
    shapes = [tuple(round(time / run[-1], 6) for time in run[:5]) for run in first]
    assert len(set(shapes)) == len(shapes)


def test_a_run_with_a_late_generator_is_no_measurement() -> None:
    world = SimulatedServers(late_s=0.004)
    with pytest.raises(
        InstanceError, match=r"late in 4 runs.* p99 was 4.00 ms.*1.50 ms are tolerated"
    ) as caught:
        search(world, limit(90, 0.03))
    assert caught.value.kind is FailureKind.DISTURBED
    assert world.runs == MAX_SPOILED + 1


def test_lateness_of_a_small_share_of_the_limit_is_none() -> None:
    found = search(SimulatedServers(late_s=0.0014), limit(90, 0.03))
    assert found.late_runs == 0
    assert found.kept.step.late_s == pytest.approx(0.0014)


def test_a_run_that_the_quota_stopped_is_measured_again() -> None:
    world = SimulatedServers(conditions=(NOISY, QUIET))
    found = search(world, limit(90, 0.03))
    (dropped,) = found.dropped
    assert dropped.reason == "the CPU quota throttled the trial 3 times"
    assert dropped.score == pytest.approx(4 * found.runs[0].step.rate_per_s)
    assert world.runs == len(found.runs) + 1
    assert all(block.conditions == QUIET for block in found.kept.blocks())


def test_a_trial_that_stays_disturbed_says_by_what() -> None:
    with pytest.raises(
        InstanceError, match=r"4 runs were disturbed: the CPU quota throttled the trial 3 times"
    ) as caught:
        search(SimulatedServers(conditions=(NOISY,)), limit(90, 0.03))
    assert caught.value.kind is FailureKind.DISTURBED


def test_a_run_in_which_all_stood_still_is_measured_again() -> None:
    world = SimulatedServers(paused_s=(1_000.0, 0.0))
    found = search(world, limit(90, 0.03), within_s=10_000.0)
    assert found.kept.step.met
    assert world.runs == len(found.runs) + 1


def test_instances_that_stay_still_end_the_trial_and_not_the_study() -> None:
    world = SimulatedServers(paused_s=(1_000.0,))
    with pytest.raises(
        InstanceError, match=r"standstill in 4 runs: .* 0 of \d+ were answered before it was given up"
    ) as caught:
        search(world, limit(90, 0.03), within_s=100_000.0)
    assert caught.value.kind is FailureKind.TIMEOUT


def test_disturbed_runs_count_where_the_study_says_so() -> None:
    found = search(SimulatedServers(conditions=(NOISY,)), limit(90, 0.03), treatment="keep")
    assert found.dropped == ()
    assert found.kept.step.met


def test_no_higher_rate_is_left_out_and_none_is_tried_twice() -> None:
    found = search(SimulatedServers(seed=4), limit(99, 0.05), seed=4)
    rates = [run.step.rate_per_s for run in found.runs if run.step.requests >= needed_requests(99)]
    assert all(
        abs(math.log(one / other)) > math.log(1 + RESOLUTION) / 4
        for index, one in enumerate(rates)
        for other in rates[:index]
    )
