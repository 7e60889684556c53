"""Optuna's own storage, in the same database as our tables."""

from __future__ import annotations

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import DBAPIError

from autotune.errors import StoreError
from autotune.store.engine import connect_args, translated
from autotune.store.location import Location

CREATION_ATTEMPTS = 5
"""Optuna makes the tables that it misses without a lock, so two processes that start on one new store can
collide; who loses finds them made at the next attempt."""


def open_optuna(location: Location, timeout_s: float) -> RDBStorage:
    """Optuna's storage at this place; makes its tables where they are missing.

    Raises:
        StoreError: the database cannot be used.
    """
    with translated(location, timeout_s):
        try:
            return _open(location, timeout_s)
        except (StorageInternalError, RuntimeError) as error:
            raise StoreError(
                f"Optuna cannot use the store {location}: {error}", remedy="use another --store"
            ) from error


def optuna_versions() -> tuple[frozenset[str], str]:
    """Every schema version that the installed Optuna knows, and its newest.

    Asked of a storage in memory: on the file itself Optuna would first create the tables that it misses.
    """
    storage = RDBStorage("sqlite://")
    try:
        return frozenset(storage.get_all_versions()), storage.get_head_version()
    finally:
        close_optuna(storage)


def close_optuna(storage: RDBStorage) -> None:
    """Release its connections."""
    storage.remove_session()
    storage.engine.dispose()


def _open(location: Location, timeout_s: float) -> RDBStorage:
    engine_kwargs = {"connect_args": connect_args(location, timeout_s)}
    for _ in range(CREATION_ATTEMPTS - 1):
        try:
            return RDBStorage(location.optuna_url, engine_kwargs=engine_kwargs)
        except DBAPIError as error:
            if "already exists" not in str(error.orig):
                raise
    return RDBStorage(location.optuna_url, engine_kwargs=engine_kwargs)
