"""`autotune prices`: what a table of prices holds, once it is checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output

if TYPE_CHECKING:
    from autotune.spec.price_table import ListedMachine

COLUMNS = (
    "type",
    "provider",
    "region",
    "cores",
    "vCPUs",
    "memory",
    "an hour",
    "a core hour",
    "date",
    "source",
)


def prices(
    table: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="A table of prices; by default the one in use.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check a table of prices, and list what machines cost by it.

    Without FILE, it is the table that AUTOTUNE_PRICES names, else the one that ships with autotune.
    """
    from autotune.documents.prices import prices_document
    from autotune.spec.price_table import table_for

    found = table_for(table)
    if as_json:
        output.result_json(prices_document(found))
    else:
        output.result_table(f"prices by {found.name}", COLUMNS, map(_row, found.machines))


def _row(machine: ListedMachine) -> tuple[str, ...]:
    return (
        machine.type,
        machine.provider,
        machine.region or "not stated",
        str(machine.cores),
        "not stated" if machine.vcpus is None else str(machine.vcpus),
        machine.memory or "not stated",
        f"{machine.per_hour:g} {machine.currency}",
        f"{machine.per_hour / machine.cores:.4g} {machine.currency}",
        machine.date,
        machine.source,
    )
