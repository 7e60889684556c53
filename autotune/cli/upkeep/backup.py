"""`autotune backup` and `autotune restore`: a store's copy, and a copy in a store's place."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_plan import StoreUrl

if TYPE_CHECKING:
    from autotune.store.backup import StoreCopy


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    *,
    store: StoreUrl = "sqlite:///autotune.db",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a copy of a store, as it is at one moment, also while studies run.

    The copy is checked before the file appears. It holds studies, trials, plans and jobs; the tokens of a
    service are not in it.
    """
    from autotune.store.backup import back_up

    copy = back_up(store, file, replace=force)
    if as_json:
        output.result_json({**asdict(copy), "path": str(copy.path)})
    else:
        output.result_text(f"{copy.path}: {_in_words(copy)}")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A copy that `autotune backup` wrote.")],
    *,
    store: StoreUrl = "sqlite:///autotune.db",
    force: Annotated[
        bool, typer.Option("--force", help="Also in the place of a store that holds something newer.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Put a copy in a store's place, whole or not at all; what was there is kept beside it.

    Copies that are damaged or of a later version are refused. So is a store that somebody works in.
    """
    from autotune.store.backup import describe_copy, restore
    from autotune.store.location import parse_location

    kept = restore(file, store, replace=force)
    target = parse_location(store).path
    assert target is not None
    copy = describe_copy(target)
    if as_json:
        former = None if kept is None else str(kept)
        output.result_json({**asdict(copy), "path": str(target), "former": former})
        return
    output.result_text(f"{target}: {_in_words(copy)}")
    if kept is not None:
        output.message(f"what was there before lies in {kept}; delete it when you do not need it any more")


def _in_words(copy: StoreCopy) -> str:
    from autotune.plan.formats import format_time
    from autotune.units import format_bytes, format_count

    counts = (
        format_count(copy.studies, "study", "studies"),
        format_count(copy.trials, "trial"),
        format_count(copy.plans, "plan"),
    )
    until = "" if copy.newest_s is None else f", until {format_time(copy.newest_s)}"
    return f"{', '.join(counts)}{until}; {format_bytes(copy.size_bytes)}"
