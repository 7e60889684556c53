"""What is old is forgotten, and what somebody needs is not."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from autotune.errors import JobConflictError, NotStoredError, StoreError, StudyError
from autotune.store.in_use import one_run
from autotune.store.job_records import JobHolder, JobKind, JobRequest
from autotune.store.jobs import JobQueue
from autotune.store.records import ConfirmationRecord, StudyRecord, TrialRecord
from autotune.store.retention import Expired, delete_study, find_expired, forget, reclaim
from autotune.store.schedule_records import ScheduleRecord
from autotune.store.schedules import ScheduleBook
from autotune.store.store import StudyStore, open_store
from autotune.testing.plans import build_plan
from tests.store.databases import postgresql_database

HOLDER = JobHolder("here", "boot", os.getpid(), 1)
OLD_S, NOW_S = 1_000_000.0, 2_000_000_000.0
BEFORE_S = 1_900_000_000.0


def add_study(store: StudyStore, study: StudyRecord, measured: TrialRecord, name: str, at_s: float) -> None:
    """A study with a trial, a round, and Optuna's rows, all of one moment."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(storage=store.optuna_storage(), study_name=name)
    store.create_study(StudyRecord(**{**vars(study), "name": name, "created_s": at_s}))
    values = {**vars(measured), "study": name, "ended_s": at_s}
    store.record_trial(TrialRecord(**values))
    shared = {
        key: values[key] for key in ("study", "configuration", "started_s", "ended_s", "result", "score")
    }
    store.record_confirmation(
        ConfirmationRecord(**shared, series=1, round=1, position=0, contender="baseline", trial=0)
    )


def run_job(store: StudyStore, kind: JobKind, study: str, plan: str = "") -> str:
    """A job with two events that is done now."""
    queue = JobQueue(store)
    queue.enqueue(JobRequest(kind, study, "here", {}))
    begun = queue.begin("here", HOLDER)
    assert begun is not None
    for _ in range(2):
        queue.tell(begun.id, HOLDER, "{}")
    queue.end(begun.id, HOLDER, "done", plan=plan, result={})
    return begun.id


def plan_in(store: StudyStore, name: str, at_s: float) -> str:
    plan = build_plan()
    plan = plan.model_copy(
        update={
            "id": f"{name}-1",
            "created_s": at_s,
            "study": plan.study.model_copy(update={"name": name, "spec": {**plan.study.spec, "name": name}}),
        }
    )
    store.save_plan(plan)
    return plan.id


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, path: Path) -> Iterator[str]:
    """An SQLite file, or a database of its own on a server."""
    if request.param == "sqlite":
        yield f"sqlite:///{path}"
    else:
        with postgresql_database() as found:
            yield found


@pytest.fixture
def of_file(url: str) -> None:
    """For what only files have."""
    if not url.startswith("sqlite"):
        pytest.skip("a server gives space back by itself, and has rights of its own")


@pytest.fixture
def store(url: str, study: StudyRecord, measured: TrialRecord) -> StudyStore:
    opened = open_store(url)
    add_study(opened, study, measured, "old", OLD_S)
    add_study(opened, study, measured, "new", NOW_S)
    plan_in(opened, "old", OLD_S)
    return opened


def names(store: StudyStore) -> set[str]:
    return {summary.study_name for summary in optuna.get_all_study_summaries(store.optuna_storage())}


def test_trials_of_old_studies_go_and_their_plans_stay(store: StudyStore, url: str) -> None:
    with store:
        expired = find_expired(store, before_s=BEFORE_S)
        assert expired == Expired(studies=("old",), trials=1, rounds=1)
        assert forget(store, url, expired) == ()
        assert store.studies() == ("old", "new")
        assert (store.trials("old"), store.confirmations("old")) == ((), ())
        assert len(store.trials("new")) == 1
        assert store.plan("old-1").id == "old-1"
        assert names(store) == {"new"}
        assert find_expired(store, before_s=BEFORE_S) == Expired()


def test_plans_go_with_their_study_where_that_is_wanted_unless_a_schedule_watches_it(
    store: StudyStore, url: str
) -> None:
    with store:
        watched = find_expired(store, before_s=BEFORE_S, keep_plans=False, watched=["old"])
        assert watched.plans == ()
        assert watched.kept == (("old", "a schedule watches it"),)
        expired = find_expired(store, before_s=BEFORE_S, keep_plans=False)
        assert expired.plans == ("old-1",)
        forget(store, url, expired)
        assert store.studies() == ("new",)
        assert store.plans() == ()


def test_a_plan_that_came_meanwhile_stays_with_its_study(store: StudyStore, url: str) -> None:
    with store:
        expired = find_expired(store, before_s=BEFORE_S, keep_plans=False)
        with store.transaction() as connection:
            connection.exec_driver_sql("UPDATE autotune_plans SET id = 'old-2'")
        forget(store, url, expired)
        assert store.studies() == ("old", "new")


def test_a_study_stays_while_a_job_of_it_waits_or_somebody_tunes_it(store: StudyStore, url: str) -> None:
    with store:
        expired = find_expired(store, before_s=BEFORE_S)
        with one_run(url, "old"):
            assert forget(store, url, expired) == ("old",)
        assert len(store.trials("old")) == 1
        JobQueue(store).enqueue(JobRequest("tune", "old", "here", {}))
        assert find_expired(store, before_s=BEFORE_S).kept == (("old", "a job of it waits or runs"),)
        assert find_expired(store, before_s=BEFORE_S).studies == ()


def test_a_study_is_deleted_with_all_that_it_has_unless_somebody_needs_it(
    store: StudyStore, url: str
) -> None:
    with store:
        with one_run(url, "old"), pytest.raises(StudyError, match="is being tuned"):
            delete_study(store, url, "old")
        ScheduleBook(store).put(ScheduleRecord("nightly", "old", "here", every_s=60.0))
        with pytest.raises(JobConflictError, match="'nightly' watches"):
            delete_study(store, url, "old")
        ScheduleBook(store).delete("nightly")
        job, _ = JobQueue(store).enqueue(JobRequest("tune", "old", "here", {}))
        with pytest.raises(JobConflictError, match=job.id):
            delete_study(store, url, "old")
        JobQueue(store).cancel(job.id)
        delete_study(store, url, "old")
        assert store.studies() == ("new",)
        assert store.plans() == ()
        assert names(store) == {"new"}
        assert JobQueue(store).job(job.id).state == "cancelled"
        with pytest.raises(NotStoredError):
            delete_study(store, url, "old")


def test_events_go_with_the_jobs_that_have_ended_but_for_the_newest_verification_of_a_plan(
    store: StudyStore, url: str
) -> None:
    with store:
        queue = JobQueue(store)
        tuned = run_job(store, "tune", "new")
        first, newest = (run_job(store, "verify", "new", plan="p") for _ in range(2))
        waiting, _ = queue.enqueue(JobRequest("tune", "new", "here", {}))
        assert find_expired(store, before_s=OLD_S).jobs == ()
        expired = find_expired(store, before_s=queue.now_s() + 1)
        assert (set(expired.jobs), expired.events) == ({tuned, first}, 4)
        forget(store, url, expired)
        assert {job.id for job in queue.jobs()} == {newest, waiting.id}
        assert len(queue.events(newest)) == 2


def test_a_job_that_somebody_resumed_meanwhile_stays(store: StudyStore, url: str) -> None:
    with store:
        queue = JobQueue(store)
        job, _ = queue.enqueue(JobRequest("tune", "new", "here", {}))
        queue.cancel(job.id)
        expired = find_expired(store, before_s=queue.now_s() + 1)
        assert expired.jobs == (job.id,)
        queue.resume(job.id)
        forget(store, url, expired)
        assert queue.job(job.id).state == "queued"


def test_what_was_broken_off_is_done_by_the_next_call(store: StudyStore, url: str) -> None:
    with store:
        optuna.delete_study(study_name="old", storage=store.optuna_storage())
        forget(store, url, find_expired(store, before_s=BEFORE_S))
        assert store.trials("old") == ()


@pytest.mark.usefixtures("of_file")
def test_the_space_is_given_back(store: StudyStore, path: Path) -> None:
    with store:
        with store.transaction() as connection:
            connection.exec_driver_sql("CREATE TABLE filler AS SELECT randomblob(4000000) AS content")
            connection.exec_driver_sql("DROP TABLE filler")
        before = path.stat().st_size
        reclaim(store)
        assert path.stat().st_size < before - 3_000_000
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_command_says_what_would_go_and_lets_it_go(url: str, store: StudyStore, tmp_path: Path) -> None:
    store.close()
    command = [sys.executable, "-m", "autotune", "prune", "--older-than", "90d", "--store", url]
    asked = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=True)
    assert "1 trial and 1 run of rounds of 1 study, 0 plans would be forgotten" in asked.stdout
    with open_store(url) as opened:
        assert len(opened.trials("old")) == 1
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "of 1 study, 0 plans forgotten" in done.stdout
    with open_store(url) as opened:
        assert opened.trials("old") == ()


@pytest.mark.usefixtures("of_file")
def test_a_store_that_is_read_only_is_told(store: StudyStore, url: str, path: Path) -> None:
    with store:
        expired = find_expired(store, before_s=BEFORE_S)
        path.unlink()
        path.mkdir()
        with pytest.raises(StoreError):
            forget(store, url, expired)
