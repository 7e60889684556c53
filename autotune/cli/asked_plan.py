"""What many commands take: which plan, and which database."""

from __future__ import annotations

from typing import Annotated

import typer

PlanRef = Annotated[
    str,
    typer.Argument(
        metavar="[REF]",
        help="`latest`, a plan's id or how it begins, a study's name, or a plan file.",
        show_default=False,
    ),
]
StoreUrl = Annotated[str, typer.Option(metavar="URL", help="Database of studies, trials and plans.")]
