"""`autotune show`: one plan, with its evidence."""

from __future__ import annotations

from typing import Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_plan import PlanRef, StoreUrl


def show(
    ref: PlanRef = "latest",
    store: StoreUrl = "sqlite:///autotune.db",
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
