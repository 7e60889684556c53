"""The arithmetic of fleets, the sources' own among it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.errors import FleetError
from autotune.fleet.capability import Bearable, Capability, MeasuredRun
from autotune.fleet.sizing import fleet_of, machines_for, size
from autotune.fleet.workload import LatencyTarget, Workload
from autotune.spec.machine_price import MachinePrice
from autotune.statistics.queueing import Queue
from autotune.testing.curves import lognormal_services_s

SERVER = Bearable(3_000.0, 0.9, 3_000.0 / 0.9, is_measured=True)
"""Of the classification source: 36 cores that serve 3,000 requests per second."""
ANY = Capability("swept", 1.0, (MeasuredRun(Queue(1, (0.0003,)), 1_000.0),))
TARGET = LatencyTarget(50.0, 0.02)
DAY_S = 86_400


def servers(rate_per_s: float, **changes: float) -> int:
    workload = Workload(rate_per_s, TARGET, headroom=0.0, spare=0)
    return fleet_of(ANY, SERVER, replace(workload, **changes)).machines  # type: ignore[arg-type]


def test_the_classification_sources_servers() -> None:
    """Source: "How we scaled BERT to serve 1+ billion daily requests on CPUs" (Roblox, 2020)."""
    assert servers(1e9 / DAY_S) == 4
    assert servers(25_000) == 9
    assert servers(50_000) == 17


def test_headroom_and_spare_machines_come_to_what_is_needed() -> None:
    assert servers(24_000) == 8
    assert servers(24_000, spare=2) == 10
    assert servers(24_000, headroom=0.2) == 10


def test_one_zone_may_be_lost_where_there_are_several() -> None:
    spread = fleet_of(ANY, SERVER, Workload(24_000, TARGET, headroom=0.0, spare=0, zones=3))
    assert spread.machines == 12
    machine, zone = spread.losses
    assert (machine.what, machine.left, machine.is_met) == ("machine", 11, True)
    assert (zone.what, zone.machines, zone.left, zone.is_met) == ("zone", 4, 8, True)


def test_the_loss_of_the_only_machine_leaves_nothing() -> None:
    (loss,) = fleet_of(ANY, SERVER, Workload(10, TARGET, headroom=0.0, spare=0)).losses
    assert (loss.left, loss.is_met) == (0, False)
    assert math.isinf(loss.latency_s)


def test_too_few_that_are_left_have_queues_without_end() -> None:
    (loss,) = fleet_of(ANY, SERVER, Workload(6_000, TARGET, headroom=0.0, spare=0)).losses
    assert loss.utilisation == pytest.approx(1.8)
    assert math.isinf(loss.latency_s)
    assert not loss.is_met


def test_the_scaling_sources_small_machine_costs_a_sixth() -> None:
    """Source: "Scaling up BERT-like model inference on modern CPU, part 1": $4.848/h and $0.808/h."""
    workload = Workload(100, TARGET, headroom=0.0, spare=0)
    large, small = (
        fleet_of(ANY, SERVER, workload, MachinePrice("USD", price, cores))
        for price, cores in ((4.848, 48), (0.808, 8))
    )
    assert large.cost is not None
    assert small.cost is not None
    assert large.cost.per_hour / small.cost.per_hour == pytest.approx(6.0)
    assert small.cost.per_month == pytest.approx(0.808 * 730)
    assert small.cost.per_billion == pytest.approx(0.808 / 360_000 * 1e9)
    assert small.cost.per_billion_full == pytest.approx(0.808 / (3_000 * 3_600) * 1e9)


def test_a_limit_below_the_service_time_says_by_how_much_and_what_would_help() -> None:
    capability = Capability("swept", 1.0, (MeasuredRun(Queue(2, (0.03,)), 10.0),))
    with pytest.raises(FleetError) as caught:
        size(capability, Workload(10, LatencyTarget(99.0, 0.02)))
    assert caught.value.problem == (
        "no number of machines keeps to p99 within 20.0 ms: a request that never waits has a p99 of 30.0 ms, "
        "50% more"
    )
    assert "allow more than 30.0 ms" in caught.value.remedy


def test_the_limit_decides_what_one_machine_bears() -> None:
    services = lognormal_services_s(0.01, 0.3)
    capability = Capability("swept", 1.0, (MeasuredRun(Queue(4, services), 200.0),))
    tight, loose = (
        size(capability, Workload(10_000, LatencyTarget(99.0, max_s), spare=0)) for max_s in (0.025, 0.1)
    )
    assert tight.bearable.rate_per_s < loose.bearable.rate_per_s < loose.bearable.capacity_per_s
    assert tight.machines > loose.machines
    assert tight.latency_s < 0.025


@settings(max_examples=25)
@given(
    rate=st.floats(1e-3, 1e9),
    bears=st.floats(0.1, 1e5),
    headroom=st.floats(0, 0.9),
    spare=st.integers(0, 20),
    zones=st.integers(1, 9),
)
def test_every_fleet_serves_the_rate_with_its_headroom_and_without_its_largest_zone(
    rate: float, bears: float, headroom: float, spare: int, zones: int
) -> None:
    workload = Workload(rate, TARGET, headroom, spare, zones)
    fleet = fleet_of(ANY, Bearable(bears, 0.8, bears / 0.8, is_measured=True), workload)
    assert (fleet.machines - spare) * bears * (1 - headroom) >= rate * (1 - 1e-6)
    assert fleet.needed == machines_for(rate, bears * (1 - headroom))
    if zones > 1:
        assert fleet.losses[-1].is_met
    if fleet.machines > 1 and zones == 1 and spare == 0:
        assert (fleet.machines - 1) * bears * (1 - headroom) < rate
