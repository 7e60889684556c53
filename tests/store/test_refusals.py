from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from autotune.errors import StoreError
from autotune.store.location import parse_location
from autotune.store.records import StudyRecord
from autotune.store.store import StudyStore, open_store, read_store
from autotune.store.tables import metadata

Open = Callable[..., StudyStore]
both = pytest.mark.parametrize("opening", [open_store, read_store])
NOBODY = 65_534


def state_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file with its digest and time of change."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
        if path.is_file()
    }


def refused(opening: Open, path: Path, match: str) -> StoreError:
    """Open what must be refused with a remedy, and left untouched without anything beside it."""
    before = state_of(path.parent)
    with pytest.raises(StoreError, match=match) as caught:
        opening(f"sqlite:///{path}").close()
    assert state_of(path.parent) == before
    assert caught.value.remedy
    return caught.value


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@both
@pytest.mark.parametrize(
    "content", [b"x", b"hello, this is text\n" * 1000, b"SQLite format 3\x00", bytes(range(256)) * 32]
)
def test_a_file_that_is_no_database_is_refused(path: Path, opening: Open, content: bytes) -> None:
    path.write_bytes(content)
    refused(opening, path, "corrupt|not an SQLite database")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_store_is_refused(path: Path, url: str, study: StudyRecord, kept: float) -> None:
    with open_store(url) as store:
        store.create_study(study)
        optuna.create_study(storage=store.optuna_storage())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    refused(open_store, path, "corrupt")


def test_a_store_with_an_overwritten_page_is_refused(path: Path, url: str) -> None:
    open_store(url).close()
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(range(256)) * 16
    path.write_bytes(content)
    refused(open_store, path, "corrupt")


@both
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_somebody_elses_database_is_refused(path: Path, opening: Open, mode: str) -> None:
    execute(path, f"PRAGMA journal_mode = {mode}", "CREATE TABLE recipes (name TEXT)")
    assert "recipes" in str(refused(opening, path, "not an autotune store"))


@both
def test_somebody_elses_alembic_history_is_not_taken_for_ours(path: Path, opening: Open) -> None:
    execute(path, "CREATE TABLE alembic_version (version_num TEXT)", "CREATE TABLE users (name TEXT)")
    refused(opening, path, "not an autotune store")


@both
def test_a_newer_store_is_refused(path: Path, url: str, opening: Open) -> None:
    open_store(url).close()
    execute(path, "UPDATE autotune_alembic_version SET version_num = '9999'")
    assert "update autotune" in refused(opening, path, "schema version 9999").remedy


@both
@pytest.mark.parametrize("table", [table.name for table in metadata.sorted_tables])
def test_a_store_that_lacks_a_table_of_ours_is_refused(
    path: Path, url: str, opening: Open, table: str
) -> None:
    open_store(url).close()
    execute(path, f"DROP TABLE {table}")
    refused(opening, path, f"damaged: it lacks {table}")


def test_newer_optuna_tables_are_refused(path: Path, url: str) -> None:
    with open_store(url) as store:
        store.optuna_storage()
    execute(path, "UPDATE alembic_version SET version_num = 'v9.9.9.a'")
    assert "update Optuna" in refused(open_store, path, r"v9\.9\.9\.a").remedy


def test_older_optuna_tables_are_refused_with_the_command_that_upgrades_them(path: Path, url: str) -> None:
    with open_store(url) as store:
        store.optuna_storage()
    execute(path, "UPDATE alembic_version SET version_num = 'v3.0.0.a'")
    assert "optuna storage upgrade" in refused(open_store, path, "older than the installed").remedy


def test_an_older_store_is_not_read_but_by_who_may_bring_it_up_to_date(path: Path, url: str) -> None:
    open_store(url).close()
    execute(path, "DELETE FROM autotune_alembic_version")
    refused(read_store, path, "holds no autotune studies")


def test_a_store_of_an_older_version_is_read_after_it_was_brought_up_to_date(path: Path, url: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "assets" / "v1.sql").read_text())
    assert "autotune tune" in refused(read_store, path, "older schema version 0001").remedy
    open_store(url).close()
    with read_store(url) as store:
        assert store.confirmations("quickstart") == ()


def test_an_empty_file_becomes_a_store_but_is_not_read_as_one(path: Path, url: str) -> None:
    path.touch()
    refused(read_store, path, "holds no autotune studies")
    open_store(url).close()
    read_store(url).close()


def test_reading_makes_no_store(path: Path) -> None:
    assert "autotune tune" in refused(read_store, path, "there is no store").remedy


@both
def test_a_folder_is_refused(path: Path, opening: Open) -> None:
    path.mkdir()
    refused(opening, path, "is a folder")


@both
def test_a_pipe_is_refused_without_waiting_for_a_writer(path: Path, opening: Open) -> None:
    os.mkfifo(path)
    refused(opening, path, "not a regular file")


def test_a_missing_parent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no folder") as caught:
        open_store(f"sqlite:///{tmp_path}/no/such/x.db")
    assert "mkdir -p" in caught.value.remedy
    assert not list(tmp_path.iterdir())


@both
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("autotune.db", "not a database URL"),
        ("", "not a database URL"),
        ("sqlite:/x.db", "not a database URL"),
        ("postgresql+psycopg://host:port/x", "not a database URL"),
        ("nosuch://x/y", "not a database driver"),
        ("sqlite+nosuch:///x.db", "not a database driver"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://host/x.db", "plain file"),
        ("sqlite:///x.db?mode=ro", "plain file"),
        ("sqlite:///file:x.db?uri=true", "plain file"),
        ("sqlite:///x?.db", "plain file"),
        ("sqlite:///a?b.db", "options and '?'"),
        ("mssql+aioodbc://x/y", "not installed|asynchronous"),
        ("oracle+cx_oracle://x/y", "not installed"),
    ],
)
def test_a_wrong_url_is_refused_with_an_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opening: Open, url: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=message) as caught:
        opening(url).close()
    assert caught.value.remedy
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("slashes", [4, 5, 6, 7])
def test_a_path_that_begins_with_more_slashes_than_one_is_the_same_file(
    path: Path, study: StudyRecord, slashes: int
) -> None:
    url = "sqlite:" + "/" * slashes + str(path).lstrip("/")
    with open_store(url) as store:
        store.create_study(study)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    with read_store(url) as store:
        assert store.find_study(study.name) == study
    assert parse_location(url) == parse_location(f"sqlite:///{path}")


def test_a_password_is_never_shown() -> None:
    with pytest.raises(StoreError) as caught:
        open_store("oracle+cx_oracle://me:secret@host/x")
    assert "secret" not in str(caught.value)


def test_a_store_in_write_ahead_mode_is_used_and_becomes_one_file(
    path: Path, url: str, study: StudyRecord
) -> None:
    open_store(url).close()
    execute(path, "PRAGMA journal_mode = WAL")
    with open_store(url) as store:
        store.create_study(study)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    with read_store(url) as store:
        assert store.find_study(study.name) == study


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


AS_ORDINARY_USER = f"""
import os, sys
import sqlite3, sqlalchemy.dialects.sqlite
from autotune.store.store import open_store, read_store
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
globals()[sys.argv[1]](sys.argv[2]).close()
"""


def as_ordinary_user(url: str, function: str) -> subprocess.CompletedProcess[str]:
    """Open a store as somebody whom permissions hold back, which root is not."""
    command = [sys.executable, "-c", AS_ORDINARY_USER, function, url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o755), (0o666, 0o555)])
def test_a_read_only_store_is_read_but_not_written(
    public_folder: Path, file_mode: int, folder_mode: int
) -> None:
    path = public_folder / "x.db"
    open_store(f"sqlite:///{path}").close()
    path.chmod(file_mode)
    public_folder.chmod(folder_mode)
    before = state_of(public_folder)
    writing = as_ordinary_user(f"sqlite:///{path}", "open_store")
    assert "StoreError" in writing.stderr
    assert "read-only" in writing.stderr
    reading = as_ordinary_user(f"sqlite:///{path}", "read_store")
    assert reading.returncode == 0, reading.stderr
    assert state_of(public_folder) == before


def test_only_the_owner_of_an_unreadable_store_is_told_to_change_its_permissions(public_folder: Path) -> None:
    path = public_folder / "my x.db"
    open_store(f"sqlite:///{path}").close()
    path.chmod(0)
    words = as_ordinary_user(f"sqlite:///{path}", "read_store").stderr
    assert "may not be read" in words
    if os.geteuid() == 0:
        assert "have its owner (user 0) let you read it" in words
        os.chown(path, NOBODY, NOBODY)
        words = as_ordinary_user(f"sqlite:///{path}", "read_store").stderr
    assert f"run: chmod u+r '{path}'" in words


def test_a_copied_store_is_a_store(path: Path, url: str, study: StudyRecord) -> None:
    with open_store(url) as store:
        store.create_study(study)
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    with read_store(f"sqlite:///{copy}") as store:
        assert store.find_study(study.name) == study


@pytest.mark.parametrize("column", ["spec", "machine", "versions"])
@pytest.mark.parametrize("value", ["garbage", "[]", "3"])
def test_a_study_whose_documents_are_damaged_is_refused(
    path: Path, url: str, study: StudyRecord, column: str, value: str
) -> None:
    with open_store(url) as store:
        store.create_study(study)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE autotune_studies SET {column} = ?", (value,))
    connection.close()
    with read_store(url) as store, pytest.raises(StoreError, match="damaged"):
        store.find_study(study.name)


def test_text_that_is_no_unicode_is_refused(url: str) -> None:
    with open_store(url) as store, pytest.raises(StoreError, match="not text that a store can hold"):
        store.find_study("\udcff")
