"""Copies of a store, and copies that are put in a store's place."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from autotune.errors import StoreError
from autotune.store.backup import back_up, describe_copy, restore
from autotune.store.in_use import one_run, using_store
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store, read_store

WRITE_ON_AND_ON = """
import itertools, sys
from autotune.store.records import TrialRecord
from autotune.store.store import open_store
from autotune.testing.store_contract import MEASURED

with open_store(sys.argv[1]) as store:
    print("open", flush=True)
    for number in itertools.count(len(store.trials("quickstart"))):
        store.record_trial(TrialRecord(**{**vars(MEASURED), "number": number}))
"""

USE = """
import sys
from autotune.store.in_use import using_store

with using_store(sys.argv[1], "service"):
    print("in use", flush=True)
    sys.stdin.read()
"""


@contextmanager
def program(text: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has said that it is ready."""
    command = [sys.executable, "-c", text, url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def filled(url: str, study: StudyRecord, measured: TrialRecord) -> str:
    """The URL of a store with a study of a few trials."""
    fill(url, study, measured, 5)
    return url


def fill(url: str, study: StudyRecord, measured: TrialRecord, count: int) -> None:
    with open_store(url) as store:
        if store.find_study(study.name) is None:
            store.create_study(study)
        for number in range(len(store.trials(study.name)), count):
            ended_s = measured.ended_s + number
            store.record_trial(TrialRecord(**{**vars(measured), "number": number, "ended_s": ended_s}))


def trials_of(path: Path, study: StudyRecord) -> int:
    with read_store(f"sqlite:///{path}") as store:
        return len(store.trials(study.name))


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_copy_holds_what_the_store_holds(
    filled: str, tmp_path: Path, study: StudyRecord, measured: TrialRecord
) -> None:
    copy = back_up(filled, tmp_path / "copy.db")
    assert (copy.studies, copy.trials, copy.plans) == (1, 5, 0)
    assert copy.newest_s == measured.ended_s + 4
    assert trials_of(copy.path, study) == 5
    assert entries(tmp_path) == {"autotune.db", "copy.db"}


def test_copies_are_sound_while_others_write_on_and_on(
    filled: str, path: Path, tmp_path: Path, study: StudyRecord
) -> None:
    with program(WRITE_ON_AND_ON, filled):
        counts = [back_up(filled, tmp_path / f"{number}.db").trials for number in range(5)]
    assert counts == sorted(counts)
    assert [trials_of(tmp_path / f"{number}.db", study) for number in range(5)] == counts
    fresh = describe_copy(path)
    assert fresh.trials >= counts[-1]


def test_a_store_that_is_written_without_a_pause_is_copied_all_the_same(
    filled: str, path: Path, tmp_path: Path, study: StudyRecord
) -> None:
    with open_store(filled) as store, store.transaction() as connection:
        connection.exec_driver_sql("UPDATE autotune_studies SET model_source = hex(randomblob(60000000))")
    with program(WRITE_ON_AND_ON, filled):
        assert back_up(filled, tmp_path / "copy.db").size_bytes > 100_000_000
    assert trials_of(tmp_path / "copy.db", study) >= 5


def test_a_copy_of_a_store_that_a_killed_process_left_half_written_is_whole(
    filled: str, path: Path, tmp_path: Path, study: StudyRecord
) -> None:
    die = (
        "import os, signal, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN IMMEDIATE');"
        "c.execute('UPDATE autotune_trials SET result = result || result || result');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", die, path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert back_up(filled, tmp_path / "copy.db").trials == 5
    assert trials_of(tmp_path / "copy.db", study) == 5


def test_a_file_that_is_there_is_replaced_only_where_that_is_wanted(filled: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("mine")
    with pytest.raises(StoreError, match="already"):
        back_up(filled, file)
    assert file.read_text() == "mine"
    assert back_up(filled, file, replace=True).trials == 5


def test_a_store_is_never_its_own_copy(filled: str, path: Path) -> None:
    before = path.read_bytes()
    for replace in (False, True):
        with pytest.raises(StoreError, match="already"):
            back_up(filled, path, replace=replace)
    with pytest.raises(StoreError, match="itself"):
        restore(path, filled, replace=True)
    assert path.read_bytes() == before


def test_a_copy_that_cannot_be_written_leaves_nothing(filled: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        back_up(filled, tmp_path / "gone" / "copy.db")
    assert entries(tmp_path) == {"autotune.db"}


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_servers_store_is_refused_with_the_servers_own_means(command: str, tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:secret@db.example/studies"
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match="server") as raised:
        back_up(url, tmp_path / "x") if command == "backup" else restore(tmp_path / "x", url)
    assert {"backup": "pg_dump", "restore": "pg_restore"}[command] in raised.value.remedy
    assert "secret" not in str(raised.value)


def test_a_copy_takes_the_place_of_what_is_older_and_that_is_kept(
    filled: str, path: Path, tmp_path: Path, study: StudyRecord, measured: TrialRecord
) -> None:
    newer, older = tmp_path / "newer.db", tmp_path / "older.db"
    back_up(filled, older)
    fill(filled, study, measured, 7)
    back_up(filled, newer)
    restore(older, filled, replace=True)
    assert trials_of(path, study) == 5
    kept = restore(newer, filled)
    assert trials_of(path, study) == 7
    assert kept is not None
    assert trials_of(kept, study) == 5
    fill(filled, study, measured, 9)  # and it can be written
    assert trials_of(path, study) == 9


def test_a_store_that_holds_something_newer_is_not_replaced_unless_that_is_wanted(
    filled: str, path: Path, tmp_path: Path, study: StudyRecord, measured: TrialRecord
) -> None:
    back_up(filled, tmp_path / "copy.db")
    fill(filled, study, measured, 6)
    with pytest.raises(StoreError, match="it is newer") as raised:
        restore(tmp_path / "copy.db", filled)
    assert "--force" in raised.value.remedy
    assert trials_of(path, study) == 6
    kept = restore(tmp_path / "copy.db", filled, replace=True)
    assert kept is not None
    assert (trials_of(path, study), trials_of(kept, study)) == (5, 6)


def test_a_copy_is_put_where_there_is_no_store(filled: str, tmp_path: Path, study: StudyRecord) -> None:
    back_up(filled, tmp_path / "copy.db")
    assert restore(tmp_path / "copy.db", f"sqlite:///{tmp_path}/new.db") is None
    assert trials_of(tmp_path / "new.db", study) == 5


def test_a_copy_takes_the_place_of_a_store_that_is_damaged(
    filled: str, path: Path, tmp_path: Path, study: StudyRecord
) -> None:
    back_up(filled, tmp_path / "copy.db")
    path.write_bytes(b"not a database at all")
    path.with_name("autotune.db-journal").write_bytes(b"of what was there")
    kept = restore(tmp_path / "copy.db", filled)
    assert kept is not None
    assert kept.read_bytes() == b"not a database at all"
    assert not path.with_name("autotune.db-journal").exists()
    assert trials_of(path, study) == 5


@pytest.mark.parametrize("damage", ["cut", "scribbled", "empty", "other"])
def test_a_damaged_copy_is_refused_and_the_store_stays_as_it_is(
    filled: str, path: Path, tmp_path: Path, study: StudyRecord, damage: str
) -> None:
    copy = tmp_path / "copy.db"
    back_up(filled, copy)
    content = copy.read_bytes()
    damaged = {
        "cut": content[: len(content) // 2],
        "scribbled": content[:4096] + b"\xff" * 20000 + content[24096:],
        "empty": b"",
        "other": b"SQLite, but no database",
    }
    copy.write_bytes(damaged[damage])
    before = path.read_bytes()
    with pytest.raises(StoreError, match="copy") as raised:
        restore(copy, filled, replace=True)
    assert raised.value.remedy.startswith("give another copy")
    assert path.read_bytes() == before
    assert entries(tmp_path) == {"autotune.db", "copy.db"}


def test_a_copy_of_a_later_version_is_refused(filled: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    back_up(filled, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE autotune_alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="9999"):
        restore(copy, filled, replace=True)


def test_a_store_in_which_a_service_works_is_not_replaced(filled: str, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "copy.db")
    with program(USE, filled), pytest.raises(StoreError, match="in use by a service"):
        restore(tmp_path / "copy.db", filled, replace=True)
    restore(tmp_path / "copy.db", filled, replace=True)


def test_a_store_in_which_a_study_is_tuned_is_not_replaced(filled: str, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "copy.db")
    with one_run(filled, "quickstart"), using_store(filled, "job"):
        with pytest.raises(StoreError, match="in use by a job, a study"):
            restore(tmp_path / "copy.db", filled, replace=True)
        restore(tmp_path / "copy.db", f"sqlite:///{tmp_path}/another.db")


def test_a_store_in_the_middle_of_a_transaction_is_not_replaced(
    filled: str, path: Path, tmp_path: Path
) -> None:
    back_up(filled, tmp_path / "copy.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is in use"):
            restore(tmp_path / "copy.db", filled, replace=True, timeout_s=0.1)
