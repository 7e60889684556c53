"""`autotune plans`: what the store holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_plan import StoreUrl

if TYPE_CHECKING:
    from autotune.store.records import PlanSummary

COLUMNS = ("id", "study", "objective", "configuration", "score", "gain", "vs default", "created")


def plans(
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="List only the plans of this study.")
    ] = None,
    store: StoreUrl = "sqlite:///autotune.db",
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the plans that the store holds, newest first."""
    from autotune.store.store import read_store

    with read_store(store) as opened:
        listed = opened.plans(study)
    if as_json:
        output.result_json([asdict(plan) for plan in listed])
    elif listed:
        has_origins = any(plan.origin for plan in listed)
        columns = (*COLUMNS, "imported from") if has_origins else COLUMNS
        output.result_table("", columns, (_row(plan)[: len(columns)] for plan in listed))
    else:
        output.message("there are no plans yet: run `autotune tune STUDY.yaml`")


def _row(plan: PlanSummary) -> tuple[str, ...]:
    from autotune.plan.formats import format_gain, format_objective_value, format_time

    return (
        plan.id,
        plan.study,
        plan.objective,
        str(plan.configuration),
        format_objective_value(plan.objective, plan.score),
        format_gain(plan.gain),
        format_gain(plan.default_ratio),
        format_time(plan.created_s),
        plan.origin,
    )
