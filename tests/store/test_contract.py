"""The store's contract on the databases that it is made for."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from autotune.testing.store_contract import StoreContract

SERVER = "AUTOTUNE_POSTGRESQL"
"""Variable with the URL of a PostgreSQL server on which databases may be made, as `.ci/run` starts one."""


class TestOnSqlite(StoreContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'autotune.db'}"


class TestOnPostgresql(StoreContract):
    @pytest.fixture
    def url(self) -> Iterator[str]:
        pytest.importorskip("psycopg", reason="the extra `postgresql` is not installed")
        if SERVER not in os.environ:
            pytest.skip(f"no PostgreSQL server: {SERVER} is not set")
        server = make_url(os.environ[SERVER])
        name = f"autotune_{uuid.uuid4().hex}"
        execute(server, f"CREATE DATABASE {name}")
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            execute(server, f"DROP DATABASE {name}")


def execute(server: URL, statement: str) -> None:
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
