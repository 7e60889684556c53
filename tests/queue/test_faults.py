"""Processes die or stop, or cannot reach their store: a job is neither lost nor run twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing

import psutil
import pytest

from autotune.events import AttemptBegan
from autotune.queue.holding import process_facts
from autotune.store.job_records import JobRecord
from autotune.testing.fake_trial import processes_of
from tests.queue.jobs_at_hand import (
    STUDY,
    JobFolder,
    job_folder,
    kill,
    processes_below,
    until,
    workers_of,
)
from tests.store.databases import own_postgresql

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a search over one cpu has nothing to choose"
)

Victims = Callable[[JobRecord], list[int]]


def keeper_of(job: JobRecord) -> list[int]:
    return [] if job.holder is None else [job.holder.pid]


def process_of(job: JobRecord) -> list[int]:
    return [process.pid for process in psutil.Process(*keeper_of(job)).children()]


def all_of(job: JobRecord) -> list[int]:
    return [process.pid for process in processes_below(job)] + keeper_of(job)


def is_running(pid: int) -> bool:
    facts = process_facts(pid)
    return facts is not None and facts.is_alive


def integrity(folder: JobFolder) -> list[str]:
    with closing(sqlite3.connect(folder.path / "autotune.db")) as connection:
        return [row[0] for row in connection.execute("PRAGMA integrity_check")]


@pytest.mark.slow
@pytest.mark.parametrize("victims", [keeper_of, process_of, all_of], ids=lambda victims: victims.__name__)
def test_a_job_whose_processes_are_killed_goes_on_and_repeats_no_trial_that_has_ended(
    folder: JobFolder, victims: Victims, nothing_left: None
) -> None:
    job_id = folder.ask()
    with folder.dispatcher():
        job = folder.in_trial(job_id, after=1)
        finished = folder.configurations()
        left = [process.pid for process in processes_below(job)]
        kill(*victims(job))
        until(lambda: folder.queue.job(job_id).attempts == 2)
        assert [pid for pid in left if is_running(pid)] == []
        ended = folder.ended(job_id)
    assert (ended.state, ended.attempts, ended.fault) == ("done", 2, None)
    assert finished <= folder.configurations()
    assert set(folder.configurations().values()) == {1}
    first, second = (event for event in folder.events(job_id) if isinstance(event, AttemptBegan))
    assert (first.attempt, first.reason, second.attempt) == (1, "", 2)
    assert "killed by SIGKILL" in second.reason
    assert integrity(folder) == ["ok"]
    assert processes_of(folder.path) == []


def test_a_worker_that_is_killed_fails_its_trial_and_the_job_goes_on(folder: JobFolder) -> None:
    job_id = folder.ask()
    with folder.dispatcher():
        kill(*(process.pid for process in workers_of(folder.in_trial(job_id, after=1))[:1]))
        ended = folder.ended(job_id)
    assert (ended.state, ended.attempts) == ("done", 1)
    failures = [trial.failure for trial in folder.store.trial_summaries("small") if trial.failure]
    assert failures == ["crash"]


def test_a_job_that_kills_every_process_fails_and_says_so(folder: JobFolder, nothing_left: None) -> None:
    job_id = folder.ask()
    with folder.dispatcher():
        for attempt in (1, 2, 3):
            until(lambda number=attempt: folder.queue.job(job_id).attempts == number)  # type: ignore[misc]
            kill(*keeper_of(folder.running(job_id)))
        ended = folder.ended(job_id)
    assert (ended.state, ended.attempts) == ("failed", 3)
    assert ended.fault is not None
    assert (
        "was killed by SIGKILL; where nobody did that, the machine ran out of memory" in ended.fault.problem
    )
    assert "resume" in ended.fault.remedy
    assert folder.queue.resume(job_id).state == "queued"


@pytest.mark.slow
def test_a_job_that_died_while_no_service_ran_goes_on_when_one_does(folder: JobFolder) -> None:
    job_id = folder.ask()
    with folder.dispatcher():
        job = folder.in_trial(job_id)
    kill(*all_of(job))
    assert folder.queue.job(job_id).state == "running"
    with folder.dispatcher():
        ended = folder.ended(job_id)
    assert (ended.state, ended.attempts) == ("done", 2)


def test_a_job_that_is_stopped_for_a_while_is_not_taken_for_dead(folder: JobFolder) -> None:
    job_id = folder.ask()
    with folder.dispatcher():
        stopped = all_of(folder.in_trial(job_id))
        kill(*stopped, number=signal.SIGSTOP)
    with folder.dispatcher(idle_s=0.1) as dispatcher:
        dispatcher.waker.wake()
        time.sleep(1.0)  # a service that looks ten times a second would have taken it by now
        assert (folder.queue.job(job_id).state, folder.queue.job(job_id).attempts) == ("running", 1)
        kill(*stopped, number=signal.SIGCONT)
        ended = folder.ended(job_id)
    assert (ended.state, ended.attempts) == ("done", 1)


@pytest.mark.slow
def test_two_services_on_one_store_run_each_job_once(folder: JobFolder, nothing_left: None) -> None:
    names = ["one", "two"]
    small = {**STUDY["search"], "instances": [1]}
    asked = [folder.ask(name=name, search=small) for name in names]
    with folder.dispatcher() as first, folder.dispatcher() as second:
        first.waker.wake()
        ended = [folder.ended(job_id) for job_id in asked]
        assert second.is_alive
    assert [(job.state, job.attempts) for job in ended] == [("done", 1), ("done", 1)]
    assert (ended[0].ended_s or 0.0) <= (ended[1].started_s or 0.0)
    assert all(set(folder.configurations(name).values()) == {1} for name in names)


HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_store_that_somebody_locks_for_a_while_is_waited_for(folder: JobFolder) -> None:
    job_id = folder.ask()
    with folder.dispatcher():
        folder.in_trial(job_id)
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_THE_LOCK, folder.path / "autotune.db"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"locked\n"
            time.sleep(5.0)  # longer than a trial takes
            holder.communicate()
        ended = folder.ended(job_id)
    assert (ended.state, ended.attempts, ended.fault) == ("done", 1, None)
    assert integrity(folder) == ["ok"]


@pytest.mark.slow
def test_a_database_server_that_is_started_anew_in_the_middle_of_a_trial_loses_nothing(
    folder: JobFolder,
) -> None:
    folder.path.joinpath("postgresql").mkdir()
    with own_postgresql() as server, job_folder(folder.path / "postgresql", server.url) as served:
        job_id = served.ask()
        with served.dispatcher():
            served.in_trial(job_id, after=1)
            finished = served.configurations()
            server.stop()
            server.start()
            ended = served.ended(job_id)
        assert ended.state == "done"
        assert finished <= served.configurations()
        assert set(served.configurations().values()) == {1}


@pytest.mark.slow
def test_a_database_server_that_is_gone_until_after_a_trial_costs_an_attempt_at_most(
    folder: JobFolder,
) -> None:
    folder.path.joinpath("postgresql").mkdir()
    with own_postgresql() as server, job_folder(folder.path / "postgresql", server.url) as served:
        job_id = served.ask()
        with served.dispatcher():
            served.in_trial(job_id, after=1)
            finished = served.configurations()
            server.stop()
            time.sleep(6.0)  # until the trial has ended, which cannot be kept
            server.start()
            ended = served.ended(job_id)
        assert (ended.state, ended.attempts) in [("done", 1), ("done", 2)]
        assert finished <= served.configurations()
        assert set(served.configurations().values()) == {1}
