"""`autotune prune`: forget what is old."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_plan import StoreUrl

if TYPE_CHECKING:
    from autotune.store.retention import Expired


def prune(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Forget what nothing has happened to for this long: 90d, 12w.")
    ],
    *,
    store: StoreUrl = "sqlite:///autotune.db",
    keep_plans: Annotated[
        bool,
        typer.Option("--keep-plans/--no-keep-plans", help="Keep the plans of studies that are forgotten."),
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be forgotten.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Forget the events of jobs and the trials of studies that have ended long ago, also while others run.

    Plans stay unless --no-keep-plans is given, and those that a schedule watches stay in any case.
    """
    from autotune.cli.cache import AGE_UNITS_S, parse_quantity
    from autotune.store.in_use import store_users
    from autotune.store.retention import find_expired, forget, reclaim
    from autotune.store.schedules import ScheduleBook
    from autotune.store.store import open_store

    before_s = time.time() - parse_quantity(older_than, AGE_UNITS_S, "90d")
    with open_store(store) as opened:
        watched = [schedule.study for schedule in ScheduleBook(opened).schedules()]
        expired = find_expired(opened, before_s=before_s, keep_plans=keep_plans, watched=watched)
        busy: tuple[str, ...] = ()
        if not dry_run:
            busy = forget(opened, store, expired)
            users = store_users(opened.location)
            if users:
                output.message(
                    "its space is used again by what comes, and given back by a call when nobody runs"
                )
            else:
                reclaim(opened)
    if as_json:
        output.result_json({**asdict(expired), "busy": list(busy), "dry_run": dry_run})
        return
    for name, why in (*expired.kept, *((name, "it is being tuned") for name in busy)):
        output.message(f"study {name} stays: {why}")
    output.result_text(f"{_in_words(expired)} {'would be forgotten' if dry_run else 'forgotten'}")


def _in_words(expired: Expired) -> str:
    from autotune.units import format_count

    jobs, events = format_count(len(expired.jobs), "job"), format_count(expired.events, "event")
    trials, runs = format_count(expired.trials, "trial"), format_count(expired.rounds, "run")
    studies, plans = format_count(len(expired.studies), "study", "studies"), len(expired.plans)
    return f"{jobs} with {events}, {trials} and {runs} of rounds of {studies}, {format_count(plans, 'plan')}"
