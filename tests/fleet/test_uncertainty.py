"""The interval of a plan's speed, carried to machines and money, and targets that data cannot decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autotune.fleet.capability import Capability, Edge, MeasuredRun, capability_of
from autotune.fleet.sizing import size
from autotune.fleet.uncertainty import Speed, range_of_fleet, speed_of
from autotune.fleet.words import edge_words, fleet_rows, fleet_sentences, interval_words
from autotune.fleet.workload import LatencyTarget, Workload
from autotune.plan.document import Plan
from autotune.plan.evidence import Range
from autotune.spec.machine_price import MachinePrice
from autotune.statistics.queueing import Queue
from autotune.testing.curves import build_curve, lognormal_services_s
from autotune.testing.plans import build_plan

SERVICES = lognormal_services_s(0.01, 0.3)
WORKLOAD = Workload(2_000, LatencyTarget(99.0, 0.05), headroom=0.0, spare=0)
PRICE = MachinePrice("USD", 0.8, 8, "acme small", "mine.yaml", "2026-01-31")
CURVED = capability_of(build_plan(curve=build_curve(SERVICES, 2)))


def capability() -> Capability:
    assert isinstance(CURVED, Capability)
    return CURVED


def measured(objective: str, value: float, between: tuple[float, float] | None) -> Plan:
    """A plan whose objective has this value and interval."""
    span = None if between is None else Range(low=between[0], high=between[1])
    plan = build_plan()
    changes: dict[str, Any] = {"objective_value": value, "objective_range": span, "runs": 5}
    return plan.model_copy(
        update={"objective": objective, "estimate": plan.estimate.model_copy(update=changes)}
    )


@pytest.mark.parametrize(
    ("objective", "value", "between"),
    [
        ("throughput", 100.0, (80.0, 125.0)),
        ("latency_p99", 0.1, (0.08, 0.125)),
        ("cost_USD", 2.0, (1.6, 2.5)),
    ],
)
def test_a_speeds_interval_is_that_of_the_objective_whichever_way_is_better(
    objective: str, value: float, between: tuple[float, float]
) -> None:
    speed = speed_of(measured(objective, value, between))
    assert speed is not None
    assert (speed.low, speed.high) == pytest.approx((0.8, 1.25))
    assert speed.runs == 5


def test_a_single_run_says_nothing_of_its_speeds_interval() -> None:
    assert speed_of(measured("throughput", 100.0, None)) is None


def test_a_machine_that_is_faster_in_all_bears_more_at_a_latency_that_is_as_much_longer() -> None:
    target = LatencyTarget(99.0, 0.05)
    at_speed = capability().at_speed(1.25).bearable(target)
    plain = capability().bearable(replace(target, max_s=1.25 * target.max_s))
    assert at_speed is not None
    assert plain is not None
    assert at_speed.rate_per_s == pytest.approx(1.25 * plain.rate_per_s, rel=0.01)
    assert at_speed.capacity_per_s == pytest.approx(1.25 * plain.capacity_per_s)


def test_a_fleet_and_what_it_costs_have_the_interval_of_the_speed() -> None:
    fleet = size(capability(), WORKLOAD, PRICE)
    between = range_of_fleet(capability(), fleet, Speed(0.8, 1.2, 5))
    assert between.slow is not None
    assert between.fast is not None
    assert between.slow.machines > fleet.machines > between.fast.machines
    assert between.slow.cost is not None
    assert between.slow.cost.per_hour == pytest.approx(0.8 * between.slow.machines)
    rows = dict(fleet_rows(fleet, between))
    ends = f"({between.fast.machines} to {between.slow.machines})"
    assert rows["machines"] == f"{fleet.machines} {ends}"
    for name in ("per hour", "per month"):
        assert rows[name].endswith(") USD")
    assert rows["per billion"].count(" to ") == 2
    assert rows["price"].endswith("for each machine of 8 cores: acme small in mine.yaml, 2026-01-31")
    (sentence,) = fleet_sentences(capability(), fleet, between, None)
    assert "5 launches know to within -20.0% and +20.0%" in sentence
    assert interval_words(between).startswith(
        f"{between.fast.machines} to {between.slow.machines} machines, "
    )


def test_where_the_slow_end_misses_the_target_there_is_no_upper_end() -> None:
    fleet = size(capability(), WORKLOAD)
    between = range_of_fleet(capability(), fleet, Speed(0.2, 1.0, 3))
    assert between.slow is None
    rows = dict(fleet_rows(fleet, between))
    assert rows["machines"].endswith(" to no end)")
    assert "(0 to " in rows["one machine"]
    said = list(fleet_sentences(capability(), fleet, between, None))
    assert "At its slow end no number of machines keeps to p99 within 50.0 ms." in said[0]
    assert interval_words(between).endswith("to no end machines")


def test_a_fleet_of_one_run_says_that_it_has_no_interval() -> None:
    fleet = size(capability(), WORKLOAD)
    assert "machines" not in dict(fleet_rows(fleet))
    assert any(said.startswith("No interval: ") for said in fleet_sentences(capability(), fleet, None, None))


def straggling(longer: int, count: int, stated: dict[float, float] | None = None) -> Capability:
    """A machine of which so many service times of all are four times as long."""
    services = (0.01,) * (count - longer) + (0.04,) * longer
    return Capability("swept", 1.0, (MeasuredRun(Queue(4, services), 100.0, stated or {}),))


@pytest.mark.parametrize(
    ("longer", "count", "edge"),
    [
        (10, 1_000, Edge(1_000, 10)),
        (6, 1_000, Edge(1_000, 6)),
        (2, 1_000, None),
        (0, 1_000, None),
        (0, 200, Edge(200, 0)),
        (100, 20_000, None),
    ],
)
def test_a_target_that_the_service_times_cannot_decide_is_told(
    longer: int, count: int, edge: Edge | None
) -> None:
    fleet = size(straggling(longer, count), Workload(100, LatencyTarget(99.0, 0.02)))
    assert fleet.bearable.edge == edge
    words = edge_words(fleet)
    if edge is None:
        assert words == ""
    else:
        assert words.startswith(f"{longer or 'None'} of the {count} service times behind it take longer than")
        assert "autotune curve --seconds" in words


def test_a_target_whose_percentile_the_run_bounds_is_decided_by_that() -> None:
    fleet = size(straggling(2, 200, {99.0: 0.012}), Workload(100, LatencyTarget(99.0, 0.02)))
    assert fleet.bearable.edge is None
