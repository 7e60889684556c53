"""What a database holds, whether we may use it, and how our tables get there."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, inspect, text

from autotune.errors import StoreError
from autotune.store.location import Location
from autotune.store.tables import COLUMNS_SINCE, READABLE, REVISIONS, TABLES_SINCE, VERSION_TABLE

OPTUNA_TABLES = frozenset({"studies", "trials", "version_info"})
"""Tables that every version of Optuna makes. Source: `optuna.storages._rdb.models`."""
OPTUNA_VERSION_TABLE = "alembic_version"


@dataclass(frozen=True)
class Contents:
    """What a database holds.

    Attributes:
        tables: names of tables and views.
        revision: schema version of our tables; None where there are none.
        optuna_revision: schema version of Optuna's; None where there are none.
        abandoned: whether a killed process left it half-written, to be rolled back by SQLite.
    """

    tables: frozenset[str]
    revision: str | None = None
    optuna_revision: str | None = None
    abandoned: bool = False


def read_contents(connection: Connection) -> Contents:
    """Look at a database without changing it."""
    inspector = inspect(connection)
    tables = frozenset(inspector.get_table_names()) | frozenset(inspector.get_view_names())
    has_optuna = tables >= OPTUNA_TABLES and OPTUNA_VERSION_TABLE in tables
    return Contents(
        tables=tables,
        revision=_revision(connection, VERSION_TABLE) if VERSION_TABLE in tables else None,
        optuna_revision=_revision(connection, OPTUNA_VERSION_TABLE) if has_optuna else None,
    )


def check_contents(contents: Contents, location: Location) -> None:
    """Refuse a database that is somebody else's, or whose tables of ours are newer than we are or missing.

    An SQLite file must be empty, ours, or Optuna's; a server's database may hold anything beside our tables.

    Raises:
        StoreError: with the version, with a table that is not ours, or with those that are missing.
    """
    ours = VERSION_TABLE in contents.tables or contents.tables >= OPTUNA_TABLES
    if location.path is not None and contents.tables and not ours:
        found = ", ".join(sorted(contents.tables)[:3])
        raise StoreError(
            f"the database {location} is not an autotune store: it holds other tables ({found})",
            remedy="give another file with --store; this one was left as it is",
        )
    if contents.revision is not None and contents.revision not in REVISIONS:
        raise StoreError(
            f"the store {location} has schema version {contents.revision}; "
            f"this autotune knows versions up to {REVISIONS[-1]}",
            remedy="update autotune, or use another --store",
        )
    _check_complete(contents, location)


def check_readable(contents: Contents, location: Location) -> None:
    """Refuse a database without our tables, or ones that only a writer can bring up to date."""
    if contents.revision is None:
        raise StoreError(
            f"the database {location} holds no autotune studies",
            remedy="run `autotune tune STUDY.yaml` first, or give the store with --store",
        )
    if contents.revision not in READABLE:
        raise StoreError(
            f"the store {location} has the older schema version {contents.revision}",
            remedy=f"run `autotune tune STUDY.yaml --store {location}` once, which brings it up to date",
        )


def columns_after(revision: str | None) -> frozenset[str]:
    """Name the columns that a database of this schema version does not have yet."""
    later = REVISIONS[REVISIONS.index(revision) + 1 :] if revision is not None else ()
    return frozenset().union(*(COLUMNS_SINCE.get(version, frozenset()) for version in later))


def _check_complete(contents: Contents, location: Location) -> None:
    """Refuse a database that lacks a table of its own version."""
    due = REVISIONS[: REVISIONS.index(contents.revision) + 1] if contents.revision is not None else ()
    missing = set().union(*(TABLES_SINCE[revision] for revision in due)) - contents.tables
    if missing:
        raise StoreError(
            f"the store {location} is damaged: it lacks {', '.join(sorted(missing))}",
            remedy="restore a copy of it, or use another --store",
        )


def upgrade(connection: Connection) -> None:
    """Bring our tables to the newest version, in the connection's own transaction: all of it or nothing."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "autotune.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection, version_table: str) -> str | None:
    """The version that an Alembic table names (one row, as neither history has branches)."""
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {version_table}"))
    return found


def check_optuna(contents: Contents, location: Location) -> None:
    """Refuse a database whose Optuna tables the installed Optuna cannot write; readers need only ours.

    Raises:
        StoreError: they are older or newer.
    """
    revision = contents.optuna_revision
    if revision is None:
        return
    # Importing Optuna takes longer than all that a reading command does.
    from autotune.store.optuna_storage import optuna_versions

    known, head = optuna_versions()
    if revision == head:
        return
    found = f"Optuna's tables in {location} have schema version {revision}"
    if revision in known:
        raise StoreError(
            f"{found}, older than the installed Optuna's {head}",
            remedy=f"run: optuna storage upgrade --storage {location}",
        )
    raise StoreError(
        f"{found}, which the installed Optuna does not know (its own is {head})",
        remedy="update Optuna, or use another --store",
    )
