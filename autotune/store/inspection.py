"""Looks at an SQLite file before it is used, and leaves no trace: no byte changed, no file beside it."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, OperationalError

from autotune.errors import StoreError
from autotune.store.engine import sqlite_code, sqlite_reading_engine
from autotune.store.schema import Contents, read_contents

MAGIC = b"SQLite format 3\x00"
"""Source: https://www.sqlite.org/fileformat.html#the_database_header, like the next two."""
WRITE_VERSION_OFFSET = 18
WRITE_AHEAD_LOG = 2


def check_place(path: Path, *, writing: bool) -> None:
    """Refuse a path at which no database can be read (or, for writing, made and changed).

    Raises:
        StoreError: a folder, no file, no parent folder, no permission.
    """
    if path.exists():
        _check_file(path, writing=writing)
    elif not writing:
        raise StoreError(
            f"there is no store at {str(path)!r}",
            remedy="run `autotune tune STUDY.yaml` first, or give the store with --store",
        )
    if not path.parent.is_dir():
        raise StoreError(
            f"the store {str(path)!r} cannot be made: there is no folder {str(path.parent)!r}",
            remedy=f"make it: mkdir -p {path.parent}",
        )
    if writing and not os.access(path.parent, os.W_OK | os.X_OK):
        raise StoreError(
            f"the store {str(path)!r} cannot be written: its folder is read-only",
            remedy="make the folder writable (SQLite keeps its journal there), or use another --store",
        )


def inspect_file(path: Path, timeout_s: float, *, thorough: bool) -> Contents:
    """Say what an existing SQLite file holds.

    A journal that a killed process left can only be rolled back by writing, so then a copy is looked at.

    Args:
        thorough: check every page's structure too.

    Raises:
        StoreError: the file is not an SQLite database, or corrupt.
    """
    if path.stat().st_size == 0:
        return Contents(frozenset())
    try:
        return _inspect(path, timeout_s, thorough=thorough)
    except OperationalError:
        raise
    except DatabaseError as error:
        raise _corrupt(path, str(error.orig)) from error


def recover(path: Path, timeout_s: float) -> None:
    """Let SQLite roll back what a killed process left half-written; needs permission to write."""
    import sqlite3

    connection = sqlite3.connect(path, timeout=timeout_s)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    finally:
        connection.close()


def _check_file(path: Path, *, writing: bool) -> None:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file"
        raise StoreError(
            f"the store {str(path)!r} is {what}", remedy="give a file, as in --store sqlite:///autotune.db"
        )
    if not os.access(path, os.R_OK):
        raise StoreError(f"the store {str(path)!r} may not be read", remedy=_reading_remedy(path))
    if writing and not os.access(path, os.W_OK):
        raise StoreError(
            f"the store {str(path)!r} is read-only",
            remedy="make it writable, or use another --store",
        )
    _check_header(path)


def _reading_remedy(path: Path) -> str:
    """What lets a file be read: only its owner may change its permissions."""
    owner = path.stat().st_uid
    if owner == os.geteuid():
        return f"run: chmod u+r {shlex.quote(str(path))}"
    return f"have its owner (user {owner}) let you read it, or give another file with --store"


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start not in (b"", MAGIC):
        raise StoreError(
            f"the store {str(path)!r} is corrupt or not an SQLite database",
            remedy="give another file with --store; this one was left as it is",
        )


def _inspect(path: Path, timeout_s: float, *, thorough: bool) -> Contents:
    if _uses_write_ahead_log(path):
        # Opened read-only it would still get a -shm file; unlogged it can be read as it lies.
        if not _beside(path, "-wal").exists():
            return _look(path, timeout_s, thorough=thorough, immutable=True)
        return _inspect_copy(path, timeout_s, thorough=thorough)
    try:
        return _look(path, timeout_s, thorough=thorough)
    except OperationalError as error:
        if sqlite_code(error) != "SQLITE_READONLY_ROLLBACK":
            raise
        return _inspect_copy(path, timeout_s, thorough=thorough)


def _inspect_copy(path: Path, timeout_s: float, *, thorough: bool) -> Contents:
    with tempfile.TemporaryDirectory(prefix="autotune-store-") as folder:
        copy = Path(folder, "copy.db")
        for suffix in ("-wal", "-journal", ""):
            if _beside(path, suffix).exists():
                shutil.copyfile(_beside(path, suffix), _beside(copy, suffix))
        recover(copy, timeout_s)
        return replace(_look(copy, timeout_s, thorough=thorough), abandoned=True)


def _look(path: Path, timeout_s: float, *, thorough: bool, immutable: bool = False) -> Contents:
    engine = sqlite_reading_engine(path, timeout_s, immutable=immutable)
    with engine.connect() as connection:
        contents = read_contents(connection)
        if thorough:
            _check_pages(connection, path)
        return contents


def _check_pages(connection: Connection, path: Path) -> None:
    verdict = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
    if verdict != "ok":
        raise _corrupt(path, verdict)


def _uses_write_ahead_log(path: Path) -> bool:
    """Read the header. Only for a process without a transaction on the file: closing it drops its locks."""
    with path.open("rb") as file:
        header = file.read(WRITE_VERSION_OFFSET + 1)
    return len(header) > WRITE_VERSION_OFFSET and header[WRITE_VERSION_OFFSET] == WRITE_AHEAD_LOG


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _corrupt(path: Path, words: str) -> StoreError:
    return StoreError(
        f"the store {str(path)!r} is corrupt: {words}",
        remedy="restore a copy of it, or move it away and run `autotune tune` again; it was left as it is",
    )
