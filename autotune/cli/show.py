"""`autotune show`: one plan, with its evidence."""

from __future__ import annotations

from typing import Annotated

import typer

from autotune.cli import output


def show(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="[REF]",
            help="`latest`, a plan's id or how it begins, a study's name, or a plan file.",
            show_default=False,
        ),
    ] = "latest",
    store: Annotated[
        str, typer.Option(metavar="URL", help="Database of studies, trials and plans.")
    ] = "sqlite:///autotune.db",
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan's document.")] = False,
) -> None:
    """Show one plan: configuration, placement per instance, evidence and provenance."""
    from autotune.plan.describe import describe
    from autotune.plan.document import plan_values
    from autotune.store.reference import find_plan

    plan = find_plan(ref, store)
    if as_json:
        output.result_json(plan_values(plan))
    else:
        output.result_text(describe(plan))
