"""Whether a store can be used, how large it is, and whether it has room."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from autotune.doctor.diagnosis import Diagnosis
from autotune.errors import StoreError
from autotune.store.in_use import store_users
from autotune.store.location import Location, parse_location
from autotune.store.store import read_store
from autotune.store.tables import REVISIONS
from autotune.units import format_bytes, format_count

LARGE_BYTES: Final = 2 << 30
"""A store of 10,000 trials takes less: what is larger holds much that is old. Source: stated."""
SHORT_BYTES: Final = 1 << 30
FULL_BYTES: Final = 100 << 20
"""A trial's raw values take up to some megabytes, and SQLite's journal as much again. Source: stated."""


def examine_store(url: str, *, thorough: bool) -> Iterator[Diagnosis]:
    """Say what is wrong with a store, or that nothing is.

    Args:
        thorough: check every page of it.

    Raises:
        StoreError: it cannot be read.
    """
    location = parse_location(url)
    path = location.path
    if path is not None and not path.exists():
        yield Diagnosis(
            "store", "note", f"there is no store at {str(path)!r} yet", "the first `autotune tune` makes it"
        )
        yield from examine_room("store", path.absolute().parent)
        return
    with read_store(url) as store:
        studies = len(store.studies())
    held = format_count(studies, "study", "studies")
    yield Diagnosis("store", "ok", f"the store {location} can be read: {held}")
    users = store_users(location)
    if users:
        yield Diagnosis("store", "ok", f"in use here by: {', '.join(users)}")
    if path is not None:
        yield from _file(path, location, thorough=thorough)


def _file(path: Path, location: Location, *, thorough: bool) -> Iterator[Diagnosis]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            version = connection.execute("SELECT version_num FROM autotune_alembic_version").fetchone()[0]
            check = "integrity_check(1)" if thorough else "schema_version"
            verdict = str(connection.execute(f"PRAGMA {check}").fetchone()[0])
    except sqlite3.Error as error:
        version, verdict, thorough = REVISIONS[-1], str(error), True
    if thorough and verdict != "ok":
        raise StoreError(
            f"the store {location} is damaged: {verdict}",
            remedy="put a copy in its place: autotune restore FILE",
        )
    if thorough:
        yield Diagnosis("store", "ok", "every page of it is sound")
    if version != REVISIONS[-1]:
        yield Diagnosis(
            "store",
            "note",
            f"its schema is of version {version}, and this autotune's is {REVISIONS[-1]}",
            "the next `autotune tune` or `autotune serve` brings it up to date",
        )
    size = path.stat().st_size
    large = size > LARGE_BYTES
    yield Diagnosis(
        "store",
        "note" if large else "ok",
        f"it takes {format_bytes(size)}",
        "forget what is old: autotune prune --older-than 90d" if large else "",
    )
    yield from examine_room("store", path.absolute().parent)


def examine_room(area: str, folder: Path) -> Iterator[Diagnosis]:
    """Say how much room a disk has, and whether that will do."""
    free = shutil.disk_usage(folder).free
    words = f"the disk of {folder} has {format_bytes(free)} free"
    if free < FULL_BYTES:
        yield Diagnosis(area, "fault", words, "free some space: nothing can be kept")
    elif free < SHORT_BYTES:
        yield Diagnosis(area, "warning", words, "free some space before it runs out")
    else:
        yield Diagnosis(area, "ok", words)
