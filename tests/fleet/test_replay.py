"""The replay of fleets event by event, and the arithmetic held against it."""

from __future__ import annotations

import math

import pytest

from autotune.fleet.capability import Capability, MeasuredRun
from autotune.fleet.check import check
from autotune.fleet.replay import machines_by_replay, replay
from autotune.fleet.sizing import size
from autotune.fleet.workload import LatencyTarget, Workload
from autotune.statistics.queueing import Queue
from autotune.testing.curves import lognormal_services_s
from studies.benchmarks.fleet import compare, random_case


def test_the_mean_wait_is_that_of_queueing_theory() -> None:
    """Source: the Pollaczek-Khinchine formula: constant service times, one server."""
    load, service_s = 0.7, 0.01
    found = replay((service_s,), 1, 1, load / service_s, requests=60_000)
    waits = [latency - service_s for latency in found.latencies_s]
    expected_s = load * service_s / (2 * (1 - load))
    assert math.fsum(waits) / len(waits) == pytest.approx(expected_s, rel=0.06)


def test_more_servers_in_one_queue_wait_less_than_as_many_machines() -> None:
    services = lognormal_services_s(0.01, 0.5)
    together = replay(services, 4, 1, 320.0, requests=20_000).latency_s(99)
    apart = replay(services, 1, 4, 320.0, requests=20_000).latency_s(99)
    assert together < 0.8 * apart


def test_a_balancer_that_knows_who_is_busy_beats_chance() -> None:
    services = lognormal_services_s(0.01, 0.5)
    by_chance, balanced = (
        replay(services, 1, 6, 480.0, balancing=balancing, requests=20_000).latency_s(99)
        for balancing in ("by-chance", "least-busy")
    )
    assert balanced < 0.8 * by_chance


def test_of_a_large_fleet_a_few_machines_are_replayed_with_their_share_of_the_rate() -> None:
    found = replay((0.01,), 1, 400, 400 * 50.0, requests=5_000)
    assert (found.machines, found.of) == (8, 400)
    assert found.latency_s(50) == pytest.approx(replay((0.01,), 1, 8, 8 * 50.0, requests=5_000).latency_s(50))


def test_the_same_seed_gives_the_same_replay_and_another_one_another() -> None:
    first, again, other = (
        replay((0.01, 0.02), 2, 2, 150.0, requests=2_000, seed=seed).latencies_s for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(5))
def test_as_many_requests_that_count_are_stragglers_as_were_measured(seed: int) -> None:
    services = (0.01,) * 990 + (0.05,) * 10
    found = replay(services, 16, 1, 100.0, requests=20_000, seed=seed)
    assert sum(latency > 0.04 for latency in found.latencies_s) == 180
    assert found.latency_s(99) < 0.02


def test_no_number_of_machines_helps_a_service_time_above_the_limit() -> None:
    assert machines_by_replay((0.03,), 2, 100.0, LatencyTarget(99, 0.02)) is None


def test_a_fleets_latency_is_what_its_replay_gives() -> None:
    services = lognormal_services_s(0.01, 0.3)
    capability = Capability("swept", 1.0, (MeasuredRun(Queue(4, services), 200.0),))
    checked = check(capability, size(capability, Workload(2_000, LatencyTarget(99.0, 0.05))), requests=30_000)
    assert checked.agrees
    assert checked.least_busy_s <= checked.replayed_s


@pytest.mark.parametrize("seed", range(3))
def test_machines_and_cost_are_within_what_is_promised_of_the_replay(seed: int) -> None:
    """`studies/benchmarks/fleet.py` prints it of a hundred."""
    compared = compare(random_case(seed))
    assert compared.is_near_in_machines, compared
    assert compared.is_near_in_cost, compared
    assert not compared.is_on_edge


def test_a_workload_of_which_as_many_requests_straggle_as_may_be_is_named_and_near_in_machines() -> None:
    """Ten of a thousand requests straggle, and p99 is asked for: it had 0.59 of the replay's cost."""
    compared = compare(random_case(35))
    assert compared.is_on_edge
    assert compared.is_near_in_machines, compared
    assert 0.8 < compared.cost_ratio < 1.25, compared
