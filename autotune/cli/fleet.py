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
    from autotune.fleet.answers import FleetAnswer


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
    from autotune.fleet.answers import answer_fleet
    from autotune.store.reference import find_plan

    answer = answer_fleet(find_plan(ref, store), workload, asked, replay=not no_replay)
    if as_json:
        output.result_json(fleet_document(answer))
    else:
        _print(answer)


def _print(answer: FleetAnswer) -> None:
    from autotune.fleet.words import fleet_headline, fleet_rows, fleet_sentences

    output.result_text(fleet_headline(answer.fleet))
    output.result_text(f"plan {answer.plan.id}: {answer.plan.configuration}")
    output.result_text(f"by {answer.capability.in_words}")
    output.result_table("", ("", "figure"), fleet_rows(answer.fleet, answer.between))
    sentences = fleet_sentences(answer.capability, answer.fleet, answer.between, answer.check)
    for sentence in sentences:
        output.result_text(sentence)
