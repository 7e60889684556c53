"""The contracts of store and queue on the databases that they are made for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.testing.queue_contract import JobQueueContract
from autotune.testing.store_contract import StoreContract
from tests.store.databases import postgresql_database


class OnSqlite:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'autotune.db'}"


class OnPostgresql:
    @pytest.fixture
    def url(self) -> Iterator[str]:
        with postgresql_database() as url:
            yield url


class TestOnSqlite(OnSqlite, StoreContract):
    pass


class TestOnPostgresql(OnPostgresql, StoreContract):
    pass


class TestQueueOnSqlite(OnSqlite, JobQueueContract):
    pass


class TestQueueOnPostgresql(OnPostgresql, JobQueueContract):
    pass
