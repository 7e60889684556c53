"""Optuna's own storage, in the same database as our tables."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from autotune.errors import StoreError
from autotune.store.engine import connect_args, making_tables, translated, wait_for_server
from autotune.store.location import Location


def open_optuna(location: Location, timeout_s: float) -> RDBStorage:
    """Optuna's storage at this place; makes its tables where they are missing.

    Raises:
        StoreError: the database cannot be used.
    """
    # A server that was restarted meanwhile has closed the connections that are kept.
    engine_kwargs = {
        "connect_args": connect_args(location, timeout_s),
        "pool_pre_ping": location.path is None,
    }
    with translated(location, timeout_s), making_tables(location, timeout_s), _one_at_a_time(location):
        try:
            storage = RDBStorage(location.optuna_url, engine_kwargs=engine_kwargs)
        except (StorageInternalError, RuntimeError) as error:
            raise StoreError(
                f"Optuna cannot use the store {location}: {error}", remedy="use another --store"
            ) from error
    if location.path is None:
        wait_for_server(storage.engine, timeout_s)
    return storage


def close_optuna(storage: RDBStorage) -> None:
    """Release its connections."""
    storage.remove_session()
    storage.engine.dispose()


def optuna_versions() -> tuple[frozenset[str], str]:
    """Every schema version that the installed Optuna knows, and its newest.

    Asked of a storage in memory: on the file itself Optuna would first create the tables that it misses.
    """
    storage = RDBStorage("sqlite://")
    try:
        return frozenset(storage.get_all_versions()), storage.get_head_version()
    finally:
        close_optuna(storage)


@contextmanager
def _one_at_a_time(location: Location) -> Iterator[None]:
    """Keep other processes from making Optuna's tables meanwhile, which it does step by step without a lock.

    Locks the folder of an SQLite file: a lock file would stay behind, and a lock on the database itself would
    be SQLite's own. A server's database has `making_tables`.
    """
    if location.path is None:
        yield
        return
    descriptor = os.open(location.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
