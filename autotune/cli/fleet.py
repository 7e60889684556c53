"""`autotune fleet`: how many machines that run a plan serve a rate, and at what cost."""

from __future__ import annotations

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
from autotune.cli.asked_plan import MachineType, PlanRef, PriceFile, StoreUrl, TypeRegion

if TYPE_CHECKING:
    from autotune.fleet.capability import Capability
    from autotune.fleet.check import ReplayCheck
    from autotune.fleet.price import AskedPrice
    from autotune.fleet.sizing import Fleet
    from autotune.fleet.uncertainty import FleetRange
    from autotune.plan.document import Plan
    from autotune.spec.machine_price import MachinePrice


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
    machine_type: MachineType = None,
    region: TypeRegion = None,
    prices: PriceFile = None,
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
    asked = read_price(price, machine_type, region, prices)
    from autotune.documents.fleet import fleet_document
    from autotune.errors import FleetError
    from autotune.fleet.capability import capability_of
    from autotune.fleet.check import check
    from autotune.fleet.sizing import size
    from autotune.fleet.uncertainty import range_of_fleet, speed_of
    from autotune.store.reference import find_plan

    plan = find_plan(ref, store)
    capability = capability_of(plan)
    if isinstance(capability, str):
        raise FleetError(f"what the plan {plan.id} bears is not known", remedy=capability)
    sized = size(capability, workload, _price(plan, asked))
    speed = speed_of(plan)
    between = None if speed is None else range_of_fleet(capability, sized, speed)
    checked = None if no_replay else check(capability, sized)
    if as_json:
        output.result_json(fleet_document(plan, capability, sized, between, checked))
    else:
        _print(plan, capability, sized, between, checked)


def _price(plan: Plan, asked: AskedPrice) -> MachinePrice | None:
    """Give what one machine costs; None where nobody says.

    Raises:
        FleetError: a machine type is asked for, and the plan does not fit it.
    """
    from autotune.errors import FleetError

    price = asked.of(plan)
    if not isinstance(price, str):
        return price
    if asked.of_type is None:
        return None
    raise FleetError(
        f"what a machine costs that runs the plan {plan.id} is not known: {price}",
        remedy="name another --type, or give what one machine costs an hour (--price 0.808USD)",
    )


def _print(
    plan: Plan, capability: Capability, fleet: Fleet, between: FleetRange | None, check: ReplayCheck | None
) -> None:
    from autotune.fleet.words import fleet_headline, fleet_rows, fleet_sentences

    output.result_text(fleet_headline(fleet))
    output.result_text(f"plan {plan.id}: {plan.configuration}")
    output.result_text(f"by {capability.in_words}")
    output.result_table("", ("", "figure"), fleet_rows(fleet, between))
    for sentence in fleet_sentences(capability, fleet, between, check):
        output.result_text(sentence)
