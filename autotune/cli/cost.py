"""`autotune cost`: what serving with a plan costs, beside its baseline and smaller machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_plan import PlanRef, StoreUrl

if TYPE_CHECKING:
    from autotune.spec.machine_price import MachinePrice


def cost(
    ref: PlanRef = "latest",
    *,
    rate: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Tell what a month costs at this rate: 100/s, 6000/min, 1e9/day."),
    ] = None,
    machine_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="A machine type's price in the place of the study's."),
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the type, where the table has several.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table of prices in which the type stands.")
    ] = None,
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

    requests_per_s = _requests_per_s(rate)
    price = _price(machine_type, region, prices)
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


def _requests_per_s(rate: str | None) -> float | None:
    from autotune.units import parse_rate_per_s

    try:
        return None if rate is None else parse_rate_per_s(rate)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--rate") from None


def _price(machine_type: str | None, region: str | None, prices: Path | None) -> MachinePrice | None:
    """What the named type costs; None where the plan's own price is asked for."""
    from autotune.spec.price_table import table_for

    if machine_type is not None:
        return table_for(prices).price_of(machine_type, region=region or "")
    if region is not None or prices is not None:
        named = "--prices" if region is None else "--region"
        raise typer.BadParameter("belongs to a machine type: add --type TYPE", param_hint=named)
    return None
