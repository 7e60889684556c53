"""Databases for tests of the store: a server on which databases may be made, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

SERVER = "AUTOTUNE_POSTGRESQL"
"""Variable with the URL of a PostgreSQL server on which databases may be made, as `.ci/run` starts one."""


@contextmanager
def postgresql_database() -> Iterator[str]:
    """Make a database that holds nothing, and give its URL; skip the test where there is no server."""
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


@dataclass(frozen=True)
class OwnServer:
    """A PostgreSQL server of a test's own, on a socket in its own folder: one that may be restarted."""

    programs: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://autotune@/postgres?host={self.folder}"

    def make(self) -> None:
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "autotune", "-E", "UTF8", "-N")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses='' -c fsync=off -k '{self.folder}'"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    @property
    def _data(self) -> str:
        return f"{self.folder}/data"

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of its programs, which refuse to be run by root, as the user that they are made for."""
        prefix = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        ended = subprocess.run(
            [*prefix, str(self.programs / program), *arguments],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr


@contextmanager
def own_postgresql() -> Iterator[OwnServer]:
    """Run a server for as long as the block does; skip the test where it is not installed."""
    pytest.importorskip("psycopg", reason="the extra `postgresql` is not installed")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="pg") as folder:  # a socket's path is short
        server = OwnServer(programs[-1].parent, Path(folder))
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        server.make()
        try:
            yield server
        finally:
            server.stop()
