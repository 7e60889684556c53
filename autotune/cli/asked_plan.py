"""What many commands take: which plan, which database, and which machine type's price."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autotune.spec.machine_price import MachinePrice

PlanRef = Annotated[
    str,
    typer.Argument(
        metavar="[REF]",
        help="`latest`, a plan's id or how it begins, a study's name, or a plan's file or folder.",
        show_default=False,
    ),
]
StoreUrl = Annotated[str, typer.Option(metavar="URL", help="Database of studies, trials and plans.")]
MachineType = Annotated[
    str | None,
    typer.Option("--type", metavar="TYPE", help="A machine type's price in the place of the study's."),
]
TypeRegion = Annotated[
    str | None, typer.Option("--region", metavar="NAME", help="Of the type, where the table has several.")
]
PriceFile = Annotated[
    Path | None,
    typer.Option("--prices", metavar="FILE", help="Table of prices in which the type stands."),
]


def read_type_price(machine_type: str | None, region: str | None, prices: Path | None) -> MachinePrice | None:
    """Look up what a machine type costs; None where none is named.

    Raises:
        typer.BadParameter: region or table are named, and no type.
        StudyFileError: the table is wrong, or has no such type.
    """
    from autotune.spec.price_table import table_for

    if machine_type is not None:
        return table_for(prices).price_of(machine_type, region=region or "")
    if region is not None or prices is not None:
        named = "--prices" if region is None else "--region"
        raise typer.BadParameter("belongs to a machine type: add --type TYPE", param_hint=named)
    return None
