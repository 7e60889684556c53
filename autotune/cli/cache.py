"""`autotune cache`: what the cache of prepared models holds, and how to make room."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.units import format_bytes, format_duration

if TYPE_CHECKING:
    from autotune.model.artifacts.cache import CacheEntry

COLUMNS = ("key", "model", "backend", "precision", "size", "unused for", "state")
SHOWN_KEY = 12

AGE_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
SIZE_UNITS = {
    **{"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40},
}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")

cache = typer.Typer(no_args_is_help=True, help="List and prune the prepared models.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@cache.command("list")
def list_artifacts(as_json: AsJson = False) -> None:
    """List the prepared models, least recently used first."""
    from autotune.model.artifacts.cache import ArtifactCache

    stored = ArtifactCache()
    entries = stored.entries()
    if as_json:
        _print_json(entries)
        return
    if entries:
        output.result_table("", COLUMNS, map(_row, entries))
    output.message(_total(str(stored.root), entries))


@cache.command()
def prune(
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Delete what has not been used for this long: 12h, 30d.")
    ] = None,
    keep_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Delete the least recently used until this much stays: 10GiB."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete everything.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete prepared models; damaged ones and remains of killed preparations always go."""
    from autotune.model.artifacts.cache import ArtifactCache
    from autotune.model.artifacts.pruning import choose_expired, disk_bytes

    if older_than is None and keep_size is None and not everything:
        raise typer.BadParameter("say what to delete: --older-than AGE, --keep-size SIZE or --all")
    stored = ArtifactCache()
    entries = stored.entries()
    chosen = (
        entries
        if everything
        else choose_expired(
            entries,
            now_s=time.time(),
            older_than_s=None if older_than is None else parse_quantity(older_than, AGE_UNITS_S, "30d"),
            keep_bytes=None if keep_size is None else parse_quantity(keep_size, SIZE_UNITS, "10GiB"),
        )
    )
    _print_chosen(chosen, as_json=as_json)
    before = disk_bytes(entries)
    after = disk_bytes([entry for entry in entries if entry not in chosen])
    if dry_run:
        output.message(f"{_count(chosen)} would be deleted, {format_bytes(before - after)}")
        return
    gone = stored.remove(entry.key for entry in chosen)
    stored.sweep()
    busy = f"; {len(chosen) - len(gone)} are being prepared and stay" if len(gone) < len(chosen) else ""
    output.message(f"{len(gone)} of {_count(entries)} deleted, {format_bytes(before - after)}{busy}")


def parse_quantity(text: str, units: dict[str, int], example: str) -> int:
    """Read a number with a unit, in whole seconds or bytes.

    Raises:
        typer.BadParameter: it is not one.
    """
    match = _QUANTITY.fullmatch(text)
    scale = units.get(match[2], units.get(match[2].upper())) if match else None
    if match is None or scale is None:
        raise typer.BadParameter(
            f"{text!r} is not a number with a unit ({', '.join(units)}), as in {example}"
        )
    return int(float(match[1]) * scale)


def _print_chosen(chosen: Sequence[CacheEntry], *, as_json: bool) -> None:
    if as_json:
        _print_json(chosen)
    elif chosen:
        output.result_table("", COLUMNS, map(_row, chosen))


def _print_json(entries: Sequence[CacheEntry]) -> None:
    from autotune.documents.cache import cache_entry_document

    output.result_json([cache_entry_document(entry) for entry in entries])


def _total(root: str, entries: Sequence[CacheEntry]) -> str:
    from autotune.model.artifacts.pruning import disk_bytes

    return f"{root}: {_count(entries)}, {format_bytes(disk_bytes(entries))}"


def _count(entries: Sequence[CacheEntry]) -> str:
    return "1 prepared model" if len(entries) == 1 else f"{len(entries)} prepared models"


def _row(entry: CacheEntry) -> tuple[str, ...]:
    made = entry.manifest
    precision = f"{made.precision} {made.knobs}".rstrip() if made else ""
    what = (made.model_source, made.backend, precision) if made else ("", "", "")
    unused = format_duration(max(0.0, time.time() - entry.last_used_s))
    state = "complete" if made else "damaged"
    return (entry.key[:SHOWN_KEY], *what, format_bytes(entry.size_bytes), unused, state)
