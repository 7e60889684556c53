"""Copies of a store, taken while others write, and put back where it was."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autotune.errors import StoreError
from autotune.files import write_remedy
from autotune.store.engine import BUSY_TIMEOUT_S, translated
from autotune.store.in_use import store_users
from autotune.store.inspection import check_place, inspect_file, recover
from autotune.store.location import Location, parse_location
from autotune.store.schema import Contents, check_contents, check_readable

STEP_PAGES: Final = 4096
"""Copied at a time, 16 MiB: between two steps, others may write."""
MOST_BEGINNINGS: Final = 5
"""So often a copy by steps is begun, and anew where somebody has written meanwhile."""
AT_ONCE_BYTES: Final = 1 << 30
"""So much is copied in a few seconds, for which every writer waits. Source: 0.3 GiB took 0.6 s."""

BUSY_S: Final = 5.0
"""Writers hold a lock for milliseconds."""

MOMENTS: Final = {
    "autotune_studies": ("created_s",),
    "autotune_trials": ("ended_s",),
    "autotune_confirmations": ("ended_s",),
    "autotune_plans": ("created_s",),
    "autotune_jobs": ("asked_s", "started_s", "ended_s"),
    "autotune_events": ("told_s",),
}
"""By table, the columns that say when something came into a store."""


@dataclass(frozen=True)
class StoreCopy:
    """What a copy of a store holds.

    Attributes:
        newest_s: when the newest thing in it came into the store, in Unix time; None of an empty one.
    """

    path: Path
    size_bytes: int
    revision: str
    studies: int
    trials: int
    plans: int
    newest_s: float | None


def back_up(store: str, target: Path, *, replace: bool = False) -> StoreCopy:
    """Write a copy of a store as it is at one moment, also while others write; the file appears whole.

    Args:
        replace: a file that is there, whatever it is.

    Raises:
        StoreError: the store is a server's or cannot be read, the copy cannot be written or is not sound, or
            there is such a file.
    """
    location = _file_location(
        store, "pg_dump --format=custom --file=autotune.dump --dbname=URL makes a copy of it while it is used"
    )
    source = _path(location)
    check_place(source, writing=False)
    if target.exists() and (not replace or target.samefile(source)):
        raise StoreError(
            f"there is a file {str(target)!r} already",
            remedy="give another name" if target.samefile(source) else "give another name, or add --force",
        )
    _inspected(source, location)
    with _new_beside(target) as new:
        _copy(source, new, location)
        new.chmod(_mode(source))
        _check_sound(new)
        new.replace(target)
    return describe_copy(target)


def restore(copy: Path, store: str, *, replace: bool = False, timeout_s: float = BUSY_S) -> Path | None:
    """Put a copy in a store's place, whole or not at all; give where what was there lies now.

    Args:
        replace: also a store in which there is something that is newer than the copy.
        timeout_s: how long somebody else's transaction is waited for before the store counts as in use.

    Raises:
        StoreError: the copy is damaged, or of a later version; the store is a server's, in use, or newer.
    """
    location = _file_location(
        store, "pg_restore --clean --dbname=URL FILE puts back what pg_dump has written"
    )
    wanted, target = _wanted(copy), _path(location)
    _check_target(copy, target)
    with _alone(location, timeout_s) as held, _new_beside(target) as new:
        if held is not None and not replace:
            _refuse_newer(location, _newest_s(held), wanted)
        _copy(copy, new, location)
        _check_sound(new)
        new.chmod(_mode(target if target.exists() else copy))
        kept = _set_aside(target)
        new.replace(target)
    return kept


def describe_copy(path: Path) -> StoreCopy:
    """Read what a copy of a store holds, and check all of it.

    Raises:
        StoreError: it is no store, is damaged, or is of a later version of autotune.
    """
    location = parse_location(f"sqlite:///{path}")
    contents = _inspected(path, location)
    _check_sound(path)
    with closing(_read_only(path)) as connection:
        counts = {
            name: connection.execute(f"SELECT count(*) FROM autotune_{name}").fetchone()[0]
            for name in ("studies", "trials", "plans")
        }
        newest_s = _newest_s(connection)
    return StoreCopy(path, path.stat().st_size, str(contents.revision), **counts, newest_s=newest_s)


def _wanted(copy: Path) -> StoreCopy:
    """Read what a copy holds that is to be put back: what is wrong with it is no fault of the store."""
    try:
        return describe_copy(copy)
    except StoreError as error:
        is_of_store = "--store" in error.remedy or "restore" in error.remedy
        raise StoreError(
            error.problem.replace("the store ", "the copy ", 1),
            remedy="give another copy, as `autotune backup` wrote it; the store was left as it is"
            if is_of_store
            else error.remedy,
        ) from error


def _file_location(store: str, remedy: str) -> Location:
    location = parse_location(store)
    if location.path is None:
        raise StoreError(f"the store {location} is no file, but a server's", remedy=remedy)
    return location


def _path(location: Location) -> Path:
    assert location.path is not None
    return location.path


def _check_target(copy: Path, target: Path) -> None:
    """Refuse a place in which no store can be made, before anything is locked."""
    if target.is_dir() or not target.parent.is_dir():
        check_place(target, writing=True)
    if target.exists() and target.samefile(copy):
        raise StoreError(f"{str(copy)!r} is the store itself", remedy="name the copy to put in its place")


def _inspected(path: Path, location: Location) -> Contents:
    """Look at a store, roll back what a killed process left, and refuse what this version cannot read."""
    check_place(path, writing=False)
    with translated(location, BUSY_TIMEOUT_S):
        contents = inspect_file(path, BUSY_TIMEOUT_S, thorough=False)
        check_contents(contents, location)
        check_readable(contents, location)
        if contents.abandoned:
            recover(path, BUSY_TIMEOUT_S)
    return contents


def _newest_s(connection: sqlite3.Connection) -> float | None:
    """When the newest thing came into a store; None where it has none, or none that can be read."""
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    moments = [
        connection.execute(f"SELECT max({column}) FROM {table}").fetchone()[0]
        for table, columns in MOMENTS.items()
        if table in there
        for column in columns
    ]
    return max((moment for moment in moments if moment is not None), default=None)


def _refuse_newer(location: Location, newest_s: float | None, wanted: StoreCopy) -> None:
    if newest_s is not None and (wanted.newest_s is None or newest_s > wanted.newest_s):
        raise StoreError(
            f"the store {location} holds what the copy {str(wanted.path)!r} does not: it is newer",
            remedy="back it up first, then add --force; what is there is kept beside it in any case",
        )


@contextmanager
def _alone(location: Location, timeout_s: float) -> Iterator[sqlite3.Connection | None]:
    """Keep everybody out of a store; give it, or None where there is none or it is damaged.

    Whoever holds it opens the file in no other way: to close it would give its locks back.

    Raises:
        StoreError: somebody works in it.
    """
    path = _path(location)
    if users := store_users(location):
        raise _in_use(location, f" by {', '.join(dict.fromkeys(f'a {user}' for user in users))}")
    if not path.exists():
        yield None
        return
    with closing(sqlite3.connect(path, isolation_level=None, timeout=timeout_s)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            if str(error.sqlite_errorname).startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise _in_use(location) from error
            yield None
            return
        yield connection


def _in_use(location: Location, by: str = "") -> StoreError:
    return StoreError(
        f"the store {location} is in use{by}",
        remedy="stop its service and its jobs first, or restore to another place with --store",
    )


def _set_aside(target: Path) -> Path | None:
    """Keep what lies in a store's place under another name, and take away what SQLite left beside it."""
    kept = target.with_name(f"{target.name}.replaced-{time.strftime('%Y%m%dT%H%M%S')}")
    for suffix in ("-journal", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            target.with_name(target.name + suffix).replace(kept.with_name(kept.name + suffix))
    if not target.exists():
        return None
    try:
        kept.hardlink_to(target)
    except OSError:  # a file system without links: for a moment there is no store
        target.replace(kept)
    return kept


class _OvertakenError(Exception):
    """Others have written so often that a copy by steps comes to no end."""


def _copy(source: Path, target: Path, location: Location) -> None:
    """Copy a database with SQLite's own means: by steps, between which others may write.

    What is overtaken too often is copied at once, while writers wait, where that takes seconds at most.
    Source: https://www.sqlite.org/backup.html
    """
    try:
        with closing(_read_only(source)) as read:
            try:
                _copy_by_steps(read, target)
            except _OvertakenError:
                if source.stat().st_size > AT_ONCE_BYTES:
                    raise
                target.unlink()
                with closing(sqlite3.connect(target)) as written:
                    read.backup(written)
    except sqlite3.Error as error:
        raise StoreError(
            f"the store {str(source)!r} cannot be copied to {str(target.parent)!r}: {error}",
            remedy="free some space on that disk, or see whether the store is locked or damaged",
        ) from error
    except _OvertakenError as error:
        raise StoreError(
            f"the store {location} is written too often to be copied", remedy="try again when less runs"
        ) from error


def _copy_by_steps(read: sqlite3.Connection, target: Path) -> None:
    beginnings, least = 0, 0

    def count(_: int, left: int, __: int) -> None:
        nonlocal beginnings, least
        beginnings += left > least
        least = left
        if beginnings > MOST_BEGINNINGS:
            raise _OvertakenError

    with closing(sqlite3.connect(target)) as written:
        read.backup(written, pages=STEP_PAGES, progress=count, sleep=0.01)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)


def _check_sound(path: Path) -> None:
    """Check every page and index of a database.

    Raises:
        StoreError: it is damaged.
    """
    try:
        with closing(_read_only(path)) as connection:
            verdict = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        raise StoreError(f"{str(path)!r} is damaged: {verdict}", remedy="take another copy")


@contextmanager
def _new_beside(target: Path) -> Iterator[Path]:
    """Give a file that may take the target's place, on its disk, and remove it if it does not.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            new = Path(folder, "new.db")
            yield new
            _flush(target.parent)
    except OSError as error:
        raise StoreError(
            f"{str(target)!r} cannot be written: {error.strerror or error}",
            remedy=write_remedy(error, "give another place"),
        ) from error


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _flush(folder: Path) -> None:
    """Have a folder's entries outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
