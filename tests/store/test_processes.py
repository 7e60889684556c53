from __future__ import annotations

import hashlib
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from autotune.errors import StoreError
from autotune.store.jobs import JobQueue
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store, read_store

DIE_WHILE_WRITING = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute(sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""

HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""

START_AND_RECORD = """
import sys
from autotune.spec.configuration import Configuration
from autotune.store.records import StudyRecord, TrialRecord
from autotune.store.store import open_store
from autotune.measurement.measurement import Failure, FailureKind
import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
url, name = sys.argv[1:]
with open_store(url) as store:
    study = optuna.create_study(storage=store.optuna_storage(), study_name=name)
    store.create_study(StudyRecord(name, 0.0, {}, {}, {}, "d", "m"))
    for number in range(20):
        configuration = Configuration(1, 1, "close", "0", False, "fake", "fp32")
        failure = Failure(FailureKind.CRASH, "x" * 5000)
        store.record_trial(TrialRecord(name, number, configuration, False, 0.0, 1.0, failure, None))
"""


def die_while_writing(path: Path, statement: str) -> None:
    """Leave a journal behind that has to be rolled back."""
    ended = subprocess.run([sys.executable, "-c", DIE_WHILE_WRITING, path, statement], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.with_name(f"{path.name}-journal").stat().st_size > 0


@pytest.fixture
def interrupted(path: Path, url: str, study: StudyRecord, measured: TrialRecord) -> Path:
    """A store whose last writer was killed in the middle of a transaction."""
    with open_store(url) as store:
        store.create_study(study)
        for number in range(50):
            store.record_trial(TrialRecord(**{**vars(measured), "number": number}))
    die_while_writing(path, "UPDATE autotune_trials SET result = result || result || result")
    return path


def test_a_writer_goes_on_from_before_the_killed_transaction(
    interrupted: Path, url: str, study: StudyRecord, measured: TrialRecord
) -> None:
    with open_store(url) as store:
        trials = store.trials(study.name)
    assert [trial.result for trial in trials] == [measured.result] * 50


def test_a_reader_sees_the_state_before_the_killed_transaction(
    interrupted: Path, url: str, study: StudyRecord, measured: TrialRecord
) -> None:
    with read_store(url) as store:
        assert [trial.result for trial in store.trials(study.name)] == [measured.result] * 50


def test_somebody_elses_interrupted_database_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.executemany("INSERT INTO recipes VALUES (?)", [("x" * 1000,)] * 500)
        connection.commit()
    die_while_writing(path, "UPDATE recipes SET name = 'y' || name")
    before = {entry.name: hashlib.sha256(entry.read_bytes()).digest() for entry in path.parent.iterdir()}
    for opening in (open_store, read_store):
        with pytest.raises(StoreError, match="not an autotune store"):
            opening(f"sqlite:///{path}")
    after = {entry.name: hashlib.sha256(entry.read_bytes()).digest() for entry in path.parent.iterdir()}
    assert after == before


def test_a_lock_that_stays_is_named_after_the_timeout(path: Path, url: str, study: StudyRecord) -> None:
    store = open_store(url, timeout_s=0.1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        for attempt in (
            lambda: store.create_study(study),
            lambda: open_store(url, timeout_s=0.1),
            lambda: read_store(url, timeout_s=0.1),
        ):
            with pytest.raises(StoreError, match=r"locked by another process, for more than 0\.1 s"):
                attempt()
        assert holder.stdin is not None
        holder.stdin.close()
    store.create_study(study)
    assert store.find_study(study.name) == study
    store.close()


def test_processes_that_start_on_one_new_store_at_once_all_succeed(path: Path, url: str) -> None:
    names = [f"study-{index}" for index in range(4)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", START_AND_RECORD, url, name], stderr=subprocess.PIPE, text=True
        )
        for name in names
    ]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), errors
    with read_store(url) as store:
        assert sorted(store.studies()) == names
        assert all(len(store.trial_summaries(name)) == 20 for name in names)
    with open_store(url) as store:
        assert len(optuna.get_all_study_names(store.optuna_storage())) == len(names)


HOLD_THE_WRITERS_LOCK = HOLD_THE_LOCK.replace("EXCLUSIVE", "IMMEDIATE")

OPEN_AS_THE_SERVICE_DOES = """
import sys
from autotune.store.jobs import JobQueue
from autotune.store.store import open_store

with open_store(sys.argv[1], runs_studies=False) as store:
    store.studies(), JobQueue(store).jobs()
print(*sorted({"alembic", "numpy", "optuna"} & set(sys.modules)))
"""


def test_an_open_store_is_read_while_another_process_is_about_to_write(
    path: Path, url: str, study: StudyRecord
) -> None:
    with open_store(url, timeout_s=0.1) as store:
        store.create_study(study)
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_THE_WRITERS_LOCK, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "locked\n"
            assert store.studies() == (study.name,)
            assert JobQueue(store).jobs() == ()
            with pytest.raises(StoreError, match="locked by another process"):
                store.create_study(replace(study, name="other"))
            process.communicate()


def test_a_store_that_runs_no_studies_imports_neither_optuna_nor_alembic(url: str) -> None:
    with open_store(url) as store:
        store.optuna_storage()
    ended = subprocess.run(
        [sys.executable, "-c", OPEN_AS_THE_SERVICE_DOES, url], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == ""
