"""Where a store is: the URL that a user gave, taken apart and checked before anything is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from autotune.errors import StoreError

EXAMPLES = "write it as sqlite:///autotune.db, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"


@dataclass(frozen=True)
class Location:
    """A store's database.

    Attributes:
        url: for SQLAlchemy.
        path: the file of an SQLite database; None for a server.
    """

    url: URL
    path: Path | None

    def __str__(self) -> str:
        """The URL without its password, for messages."""
        return self.url.render_as_string(hide_password=True)

    @property
    def optuna_url(self) -> str:
        """The URL for Optuna, which formats storage URLs: braces doubled.

        Source: `RDBStorage._fill_storage_url_template`.
        """
        return self.url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")


def parse_location(text: str) -> Location:
    """Take a store's URL apart; nothing is opened.

    Raises:
        StoreError: it is not a URL, its driver is unknown or not installed, or it names no file.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{text!r} is not a database URL", remedy=EXAMPLES) from error
    _check_driver(url)
    if url.get_backend_name() != "sqlite":
        return Location(url, None)
    path = _sqlite_path(url, text)
    return Location(url.set(database=str(path)), path)


def _check_driver(url: URL) -> None:
    try:
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except NoSuchModuleError as error:
        raise StoreError(f"{url.drivername!r} is not a database driver", remedy=EXAMPLES) from error
    except ImportError as error:
        remedy = f"install it: pip install {error.name}" if error.name else EXAMPLES
        raise StoreError(
            f"the database driver of {url.drivername!r} is not installed", remedy=remedy
        ) from error
    if dialect.is_async:
        raise StoreError(f"{url.drivername!r} is an asynchronous driver", remedy=EXAMPLES)


def _sqlite_path(url: URL, text: str) -> Path:
    """The file; where more slashes lead its path than one, which POSIX lets mean another place, with one."""
    if "?" in text or url.host or (url.database or "").startswith("file:"):
        shown = text if url.password is None else url.render_as_string()
        raise StoreError(
            f"{shown!r}: only a plain file can be an SQLite store, without host, options and '?'",
            remedy="write it as sqlite:///relative/path.db or sqlite:////absolute/path.db",
        )
    if not url.database or url.database == ":memory:":
        raise StoreError(
            f"{url.render_as_string()!r} names no file, and a store in memory would be lost",
            remedy="write it as sqlite:///autotune.db",
        )
    return Path(re.sub("^/+", "/", url.database))
