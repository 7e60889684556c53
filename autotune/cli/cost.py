"""`autotune cost`: what serving with a plan costs, beside its baseline and smaller machines."""

from __future__ import annotations

from typing import Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_fleet import read_rate
from autotune.cli.asked_plan import (
    MachineType,
    PlanRef,
    PriceFile,
    StoreUrl,
    TypeRegion,
    read_type_price,
)


def cost(
    ref: PlanRef = "latest",
    *,
    rate: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Tell what a month costs at this rate: 100/s, 6000/min, 1e9/day."),
    ] = None,
    machine_type: MachineType = None,
    region: TypeRegion = None,
    prices: PriceFile = None,
    store: StoreUrl = "sqlite:///autotune.db",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell what a plan costs: a million samples, a request, and a month at a rate of requests.

    Its baseline and the best of every smaller machine that its study searched (search.cores) stand beside it,
    each with the interval of what was measured.
    """
    from autotune.documents.cost import cost_document
    from autotune.plan.cost_words import cost_rows, cost_sentences
    from autotune.plan.costs import costs_of
    from autotune.store.reference import find_plan

    requests_per_s = None if rate is None else read_rate(rate)
    price = read_type_price(machine_type, region, prices)
    costs = costs_of(find_plan(ref, store), price)
    if as_json:
        output.result_json(cost_document(costs, requests_per_s))
        return
    columns, *rows = cost_rows(costs, requests_per_s)
    output.result_table(f"cost of {costs.plan.id}", columns, rows)
    notes = [*cost_sentences(costs), *([] if price is None else [_OF_ANOTHER])]
    output.result_text("\n".join(["", *notes]))


_OF_ANOTHER = (
    "The speed is that of the machine on which the plan was measured: one of this type has it only where its "
    "cores are of the same kind."
)
