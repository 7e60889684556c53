"""`autotune import`: brings plans of other machines into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_plan import StoreUrl

if TYPE_CHECKING:
    from autotune.plan.document import Plan

SQLITE_HEAD = b"SQLite format 3\x00"
"""With this every SQLite database begins. Source: the database file format, section 1.3."""


def import_plans(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE|STORE...", help="Plan files, SQLite files, or URLs of stores."),
    ],
    *,
    store: StoreUrl = "sqlite:///autotune.db",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was imported as JSON.")] = False,
) -> None:
    """Bring plans of other machines into the store, from plan files or from other stores.

    Everything is read and checked before anything is written.
    """
    from autotune.store.imports import import_all
    from autotune.store.store import open_store

    read = [(plan, source) for source in sources for plan in _read(source)]
    with open_store(store) as opened:
        added = import_all(opened, read)
    if as_json:
        output.result_json(
            [
                {"plan": plan.id, "from": source, "new": is_new}
                for (plan, source), is_new in zip(read, added, strict=True)
            ]
        )
        return
    for (plan, source), is_new in zip(read, added, strict=True):
        there = "" if is_new else ", which was there already"
        output.result_text(f"{plan.id} from {source}{there}: {plan.machine.get('model_name') or 'unknown'}")


def _read(source: str) -> list[Plan]:
    """Read the plan of a file, or all plans of a store.

    Raises:
        PlanError, StoreError: it cannot be read, or holds none.
    """
    from autotune.errors import StoreError
    from autotune.store.reference import read_plan_file
    from autotune.store.store import read_store

    url = _store_url(source)
    if url is None:
        return [read_plan_file(Path(source))]
    with read_store(url) as opened:
        plans = [opened.plan(summary.id) for summary in opened.plans()]
    if not plans:
        raise StoreError(f"the store {source} holds no plans", remedy="give one in which a study has ended")
    return plans


def _store_url(source: str) -> str | None:
    """Give the URL of a store; None of what is a plan's file."""
    if "://" in source:
        return source
    try:
        with Path(source).open("rb") as file:
            is_database = file.read(len(SQLITE_HEAD)) == SQLITE_HEAD
    except OSError:
        return None  # who reads it says what is wrong with it
    return f"sqlite:///{source}" if is_database else None
