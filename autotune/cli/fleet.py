"""`autotune fleet`: how many machines that run a plan serve a rate, and at what cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_fleet import (
    P50,
    P90,
    P95,
    P99,
    AsJson,
    Headroom,
    MachineHour,
    Margins,
    Rate,
    Spare,
    Zones,
    read_price,
    read_workload,
)
from autotune.cli.asked_plan import PlanRef, StoreUrl

if TYPE_CHECKING:
    from autotune.fleet.capability import Capability
    from autotune.fleet.check import ReplayCheck
    from autotune.fleet.sizing import Fleet, Outage
    from autotune.plan.document import Plan


def fleet(
    ref: PlanRef = "latest",
    *,
    rate: Rate,
    p50: P50 = None,
    p90: P90 = None,
    p95: P95 = None,
    p99: P99 = None,
    headroom: Headroom = "30%",
    spare: Spare = 1,
    zones: Zones = 1,
    price: MachineHour = None,
    no_replay: Annotated[bool, typer.Option("--no-replay", help="Do not check it by a replay.")] = False,
    store: StoreUrl = "sqlite:///autotune.db",
    as_json: AsJson = False,
) -> None:
    """Say how many machines that run a plan serve a rate, what they cost, and what the loss of one does.

    Give one limit of latency: --p50, --p90, --p95 or --p99.
    """
    workload = read_workload(
        rate, {50.0: p50, 90.0: p90, 95.0: p95, 99.0: p99}, Margins(headroom, spare, zones)
    )
    own_price = read_price(price)
    from autotune.documents.fleet import fleet_document
    from autotune.errors import FleetError
    from autotune.fleet.capability import capability_of
    from autotune.fleet.check import check
    from autotune.fleet.price import plan_price
    from autotune.fleet.sizing import size
    from autotune.store.reference import find_plan

    plan = find_plan(ref, store)
    capability = capability_of(plan)
    if isinstance(capability, str):
        raise FleetError(f"what the plan {plan.id} bears is not known", remedy=capability)
    sized = size(capability, workload, own_price or plan_price(plan))
    checked = None if no_replay else check(capability, sized)
    if as_json:
        output.result_json(fleet_document(plan, capability, sized, checked))
    else:
        _print(plan, capability, sized, checked)


def _print(plan: Plan, capability: Capability, fleet: Fleet, check: ReplayCheck | None) -> None:
    from autotune.fleet.price import NO_PRICE
    from autotune.units import format_count

    spare = fleet.machines - fleet.needed
    beside = f", {fleet.needed} and {spare} spare" if spare else ""
    output.result_text(
        f"{format_count(fleet.machines, 'machine')}{beside}: {fleet.workload.in_words}, "
        f"headroom {fleet.workload.headroom:.0%}"
    )
    output.result_text(f"plan {plan.id}: {plan.configuration}")
    output.result_text(f"by {capability.in_words}")
    output.result_table("", ("", "figure"), _rows(fleet))
    if not fleet.bearable.is_measured and capability.basis != "back-to-back":
        output.result_text(
            "The rate of one machine is higher than any that was measured: `autotune curve` measures more."
        )
    if fleet.cost is None:
        output.result_text(NO_PRICE)
    if check is not None:
        output.result_text(_check_words(fleet, check))


def _rows(fleet: Fleet) -> Iterator[tuple[str, str]]:
    from autotune.units import format_rate, format_significant

    one, cost = fleet.bearable, fleet.cost
    percentile = f"p{fleet.workload.target.percentile:g}"
    yield (
        "one machine",
        f"bears {format_rate(one.rate_per_s)} at that limit, {one.utilisation:.0%} of the "
        f"{format_rate(one.capacity_per_s)} that it serves at most",
    )
    yield "each gets", f"{format_rate(fleet.rate_per_machine_s)}, {fleet.utilisation:.0%} busy"
    yield percentile, _latency_words(fleet.latency_s)
    if cost is not None:
        amounts = (("per hour", cost.per_hour), ("per month", cost.per_month))
        for name, amount in amounts:
            yield name, f"{format_significant(amount)} {cost.currency}"
        yield (
            "per billion",
            f"{format_significant(cost.per_billion)} {cost.currency} for a billion requests at that rate "
            f"({format_significant(cost.per_billion_full)} on machines with nothing left free)",
        )
        each = f"{format_significant(cost.price.per_hour)} {cost.currency} an hour"
        yield "price", f"{each} for each machine: {cost.price.source_in_words}"
    for loss in fleet.losses:
        yield f"a {loss.what} lost", _loss_words(loss, percentile)


def _loss_words(loss: Outage, percentile: str) -> str:
    from autotune.units import format_count

    if loss.left == 0:
        return "nothing is left"
    gone = f"{format_count(loss.left, 'machine')} left"
    if math.isinf(loss.latency_s):
        return f"{gone}, {loss.utilisation:.0%} of what they serve at most: their queues grow without end"
    kept = "the limit is kept to" if loss.is_met else "the limit is missed"
    return f"{gone}, {loss.utilisation:.0%} busy, {percentile} {_latency_words(loss.latency_s)}: {kept}"


def _latency_words(latency_s: float) -> str:
    from autotune.units import format_latency

    return "without end" if math.isinf(latency_s) else format_latency(latency_s)


def _check_words(fleet: Fleet, check: ReplayCheck) -> str:
    from autotune.units import format_latency

    percentile = f"p{fleet.workload.target.percentile:g}"
    verdict = "agrees" if check.agrees else "does not agree"
    return (
        f"A replay of the service times, event by event, {verdict}: {percentile} "
        f"{format_latency(check.replayed_s)}, where the arithmetic says {format_latency(check.expected_s)}; "
        f"{format_latency(check.least_busy_s)} behind a balancer that picks the least busy machine."
    )
