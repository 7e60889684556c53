"""Engines for writing and for reading, and the one place where a database's errors become ours."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.pool import NullPool

from autotune.errors import StoreError
from autotune.store.location import Location

_ADVISORY_KEY = 0x6175746F74756E65
"""Number of the lock under which tables are made: `autotune` in ASCII."""

BUSY_TIMEOUT_S = 30.0
"""How long a lock that another process holds is waited for; writers hold one for milliseconds."""

_SERVER_PAUSE_S = 0.2
"""Between two tries to reach a server that is gone."""

READS = "autotune_reads"
"""Execution option of a connection that writes nothing, and asks for no lock before it needs one."""

WRITING_PRAGMAS = ("foreign_keys = ON", "journal_mode = DELETE")
"""The rollback journal keeps a store one file to copy; the write-ahead log could lose data before 3.51.3.

Source: https://www.sqlite.org/releaselog/3_51_3.html
"""


def writing_engine(location: Location, timeout_s: float) -> Engine:
    """An engine whose transactions take the write lock at their start, so that waiting for it can work.

    A deferred transaction that finds another writer at its first write fails at once, whatever the timeout.
    One that only reads is begun with the option `READS`: readers share the file with each other and with a
    writer until it commits.
    Source: https://www.sqlite.org/lang_transaction.html
    """
    engine = create_engine(
        location.url,
        poolclass=NullPool,
        connect_args=connect_args(location, timeout_s),
        json_serializer=_strict_json,
    )
    if location.path is not None:
        _take_over_transactions(engine, "BEGIN IMMEDIATE", WRITING_PRAGMAS)
    else:
        wait_for_server(engine, timeout_s)
    return engine


def reading_engine(location: Location, timeout_s: float) -> Engine:
    """An engine that changes nothing: an SQLite file is opened read-only, and never made.

    Of the servers, PostgreSQL is told so; another one relies on readers not to write.
    """
    if location.path is None:
        return writing_engine(location, timeout_s).execution_options(postgresql_readonly=True)
    return sqlite_reading_engine(location.path, timeout_s)


def sqlite_reading_engine(path: Path, timeout_s: float, *, immutable: bool = False) -> Engine:
    """An engine on an SQLite file opened read-only.

    Args:
        immutable: promise that nobody writes the file, so that no lock and no side file is touched.
    """
    query = {"mode": "ro", "uri": "true"} | ({"immutable": "1"} if immutable else {})
    url = URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query=query)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": timeout_s})
    _take_over_transactions(engine, "BEGIN", ())
    return engine


def connect_args(location: Location, timeout_s: float) -> dict[str, Any]:
    """Arguments of the driver's `connect`: the busy timeout, where the driver knows one."""
    return {"timeout": timeout_s} if location.path is not None else {}


def _take_over_transactions(engine: Engine, begin: str, pragmas: Iterable[str]) -> None:
    """Say `begin` ourselves: the driver begins none before DDL, and a half-done migration could remain."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(READS) else begin)


def wait_for_server(engine: Engine, timeout_s: float) -> None:
    """Have an engine wait for a server that was there and is gone, as for a lock: it may be restarted.

    The first connection waits for nothing: a URL may be wrong.
    """
    has_connected = False

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _: object, arguments: Any, options: Any) -> Any:
        nonlocal has_connected
        give_up_s = time.monotonic() + timeout_s
        while True:
            try:
                connection = dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError:
                if not has_connected or time.monotonic() >= give_up_s:
                    raise
                time.sleep(_SERVER_PAUSE_S)
            else:
                has_connected = True
                return connection


class _NoJsonError(ValueError):
    """A value is none that JSON has. Some drivers write JSON themselves, and let this pass as it is."""


def _strict_json(value: object) -> str:
    """Refuse NaN and infinities, which are no JSON: SQLite would keep them, other databases would not."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise _NoJsonError(str(error)) from error


@contextmanager
def making_tables(location: Location, timeout_s: float) -> Iterator[None]:
    """Keep other processes from making tables in the same database of a PostgreSQL server meanwhile.

    Two that create what is not there at once fail, whatever they ask first. The lock is the connection's: it
    ends with it, whatever happens to the process. An SQLite file has its own write lock.
    Source: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    """
    if location.url.get_backend_name() != "postgresql":
        yield
        return
    engine = writing_engine(location, timeout_s).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_KEY})
        yield


@contextmanager
def translated(location: Location, timeout_s: float) -> Iterator[None]:
    """Turn what the database refuses into a `StoreError` that says what to do."""
    try:
        yield
    except DBAPIError as error:
        raise _store_error(error, location, timeout_s) from error
    except (StatementError, _NoJsonError) as error:
        reason = error.orig if isinstance(error, StatementError) else error
        raise StoreError(f"a value cannot be kept in the store {location}: {reason}") from error
    except json.JSONDecodeError as error:
        raise StoreError(
            f"the store {location} is damaged: it holds a document that is not JSON ({error})",
            remedy="restore a copy of it, or use another --store",
        ) from error
    except UnicodeEncodeError as error:
        raise StoreError(
            f"{error.object!r} is not text that a store can hold", remedy="write it in UTF-8"
        ) from error


def sqlite_code(error: DBAPIError) -> str:
    """SQLite's name of the error, such as `SQLITE_BUSY`; empty for another database's."""
    return str(getattr(error.orig, "sqlite_errorname", "") or "")


def _codes(error: DBAPIError) -> Iterator[str]:
    """Give SQLite's names of an error and of those before it.

    A full disk ends a whole transaction, and what fails next is to go back to a savepoint in it.
    """
    met: BaseException | None = error
    while met is not None:
        if isinstance(met, DBAPIError):
            yield sqlite_code(met)
        met = met.__context__


def _store_error(error: DBAPIError, location: Location, timeout_s: float) -> StoreError:
    reasons = {
        "SQLITE_BUSY": (
            f"is locked by another process, for more than {timeout_s:g} s",
            "wait for the other autotune to end, or use another --store",
        ),
        "SQLITE_READONLY": ("is read-only", "make the file and its folder writable, or use another --store"),
        "SQLITE_CORRUPT": (
            "is corrupt",
            "restore a copy of it, or move it away and run `autotune tune` again",
        ),
        "SQLITE_NOTADB": ("is not an SQLite database", "give the store's own file with --store"),
        "SQLITE_FULL": ("cannot grow: the disk is full", "free some space and run the command again"),
    }
    for code in _codes(error):
        for known, (what, remedy) in reasons.items():
            if code == known or code.startswith(f"{known}_"):
                return StoreError(f"the store {location} {what}", remedy=remedy)
    words = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    return StoreError(
        f"the store {location} cannot be used: {words}", remedy="check the database, or use another --store"
    )
