"""Jobs of every kind, in processes of their own."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import insert

from autotune.events import AttemptBegan, TrialEnded
from autotune.queue.dispatch import Dispatcher
from autotune.queue.job_log import FOLDER, job_log
from autotune.queue.requests import CompareValues, VerifyValues, values_to_store
from autotune.queue.starting import LOG
from autotune.queue.stopping import end_early
from autotune.store.job_records import JobRequest
from autotune.store.job_rows import request_row
from autotune.store.job_tables import jobs
from autotune.testing.fake_trial import processes_of
from tests.queue.jobs_at_hand import MACHINE, STUDY, JobFolder, processes_below, until

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a search over one cpu has nothing to choose"
)


def ask(folder: JobFolder, kind: Any, values: Any) -> str:
    request = JobRequest(kind, "small", MACHINE, values_to_store(values))
    return folder.queue.enqueue(request)[0].id


@pytest.mark.slow
def test_a_study_is_tuned_verified_and_compared_and_every_event_told(
    folder: JobFolder, nothing_left: None
) -> None:
    with folder.dispatcher() as dispatcher:
        tuned_id = folder.ask(search={**STUDY["search"], "instances": [1]})
        dispatcher.waker.wake(tuned_id)
        tuned = folder.ended(tuned_id)
        assert (tuned.state, tuned.fault, tuned.attempts) == ("done", None, 1)
        assert tuned.plan == folder.store.plan("small").id
        events = folder.events(tuned_id)
        assert events[0] == AttemptBegan(1)
        assert sum(isinstance(event, TrialEnded) for event in events) == len(folder.store.trials("small"))
        assert "ends: done" in job_log(folder.path / "state", tuned_id).read_text()

        bounds: dict[str, Any] = {"rounds": 3}
        verifying = ask(folder, "verify", VerifyValues(plan=tuned.plan, tolerance=0.9, **bounds))
        comparing = ask(folder, "compare", CompareValues(a=tuned.plan, b=tuned.plan, **bounds))
        dispatcher.waker.wake()
        verified, compared = folder.ended(verifying), folder.ended(comparing)
    assert (verified.state, verified.plan) == ("done", tuned.plan)
    assert verified.result is not None
    assert verified.result["schema"] == "autotune.verification/1"
    assert compared.result is not None
    assert compared.result["schema"] == "autotune.comparison/1"
    assert {*folder.news} == {tuned_id, verifying, comparing}


def test_a_job_that_cannot_be_done_fails_in_the_words_of_its_error(folder: JobFolder) -> None:
    wrong = folder.ask(name="wrong", model=f"fake:{folder.path / 'none.json'}")
    unknown = ask(folder, "verify", VerifyValues(plan="none"))
    later = folder.queue.enqueue(JobRequest("tune", "later", MACHINE, {"format": 99}))[0].id
    with folder.dispatcher():
        failed = {job_id: folder.ended(job_id) for job_id in (wrong, unknown, later)}
    assert {job.state for job in failed.values()} == {"failed"}
    kinds = [job.fault.kind for job in failed.values() if job.fault is not None]
    assert kinds == ["ModelError", "NotStoredError", "JobError"]
    problems = [job.fault.problem for job in failed.values() if job.fault is not None]
    assert "none.json" in problems[0]
    assert "holds no plans" in problems[1]
    assert "cannot be read" in problems[2]


@pytest.mark.slow
def test_who_cancels_a_job_ends_its_trial_and_what_was_measured_is_kept(
    folder: JobFolder, nothing_left: None
) -> None:
    job_id = folder.ask()
    with folder.dispatcher() as dispatcher:
        folder.in_trial(job_id, after=1)
        end_early(folder.queue, job_id)
        ended = folder.ended(job_id)
        assert (ended.state, ended.attempts) == ("cancelled", 1)
        until(lambda: not processes_of(folder.path))
        measured = folder.configurations()
        assert measured
        folder.queue.resume(job_id)
        dispatcher.waker.wake(job_id)
        assert folder.ended(job_id).state == "done"
    assert set(folder.configurations().values()) == {1}
    assert measured <= folder.configurations()


def test_the_service_may_end_and_start_again_while_a_job_goes_on(folder: JobFolder) -> None:
    job_id = folder.ask()
    with folder.dispatcher():
        before = folder.in_trial(job_id)
    with folder.dispatcher():
        ended = folder.ended(job_id)
        second = folder.ask(name="second")
        folder.queue.cancel(second)
    assert (ended.state, ended.attempts) == ("done", 1)
    assert before.attempts == 1
    assert job_id in folder.news


@pytest.mark.slow
def test_a_service_that_takes_its_job_along_leaves_it_waiting(folder: JobFolder, nothing_left: None) -> None:
    job_id = folder.ask()
    with folder.dispatcher() as dispatcher:
        folder.in_trial(job_id, after=1)
        stopped = dispatcher.stop_all(within_s=20.0)
    assert stopped is not None
    assert (stopped.id, stopped.state, stopped.attempts, stopped.fault) == (job_id, "queued", 0, None)
    assert processes_of(folder.path) == []
    trials = Counter(folder.configurations())
    with folder.dispatcher():
        assert folder.ended(job_id).state == "done"
    assert trials <= folder.configurations()
    assert set(folder.configurations().values()) == {1}


def test_a_process_that_is_just_started_when_the_service_ends_leaves_its_job_waiting(
    folder: JobFolder, nothing_left: None
) -> None:
    log = folder.path / "state" / FOLDER / LOG
    job_id = folder.ask()
    with folder.dispatcher() as dispatcher:
        until(log.exists)
        dispatcher.stop_all(within_s=20.0)
    assert (folder.queue.job(job_id).state, folder.queue.job(job_id).attempts) == ("queued", 0)


def test_jobs_are_begun_whatever_goes_wrong_where_they_are_told_of(folder: JobFolder) -> None:
    def stumble(job_id: str) -> None:
        raise RuntimeError(f"nobody hears of {job_id}")

    first, second = (folder.ask(name=name, model=f"fake:{folder.path / 'none.json'}") for name in "ab")
    with Dispatcher(folder.store, folder.orders, news=stumble):
        assert {folder.ended(job_id).state for job_id in (first, second)} == {"failed"}


def test_a_job_that_does_not_end_in_time_is_killed_with_all_its_processes(folder: JobFolder) -> None:
    job_id = folder.ask()
    with folder.dispatcher() as dispatcher:
        job = folder.in_trial(job_id)
        for process in processes_below(job):
            process.send_signal(signal.SIGSTOP)
        stopped = dispatcher.stop_all(within_s=2.5)
    assert stopped is not None
    assert (stopped.state, stopped.attempts) == ("queued", 1)
    assert processes_of(folder.path) == []


def test_of_a_thousand_jobs_that_wait_one_after_another_is_begun_in_their_order(folder: JobFolder) -> None:
    unreadable = request_row(JobRequest("tune", "many", MACHINE, {"format": 99}))
    rows = [
        {
            **unreadable,
            "id": f"{number:016x}",
            "digest": "",
            "state": "queued",
            "asked_s": number,
            "attempts": 0,
        }
        for number in range(1000)
    ]
    with folder.store.transaction() as connection:
        connection.execute(insert(jobs), rows)
    with folder.dispatcher():
        folder.ended(f"{4:016x}")
    begun = folder.queue.jobs(states=("failed", "running"), limit=1000)
    assert len(begun) < 20
    in_order = sorted(begun, key=lambda job: job.started_s or 0.0)
    assert [job.id for job in in_order] == [f"{number:016x}" for number in range(len(begun))]
    assert {job.attempts for job in begun} == {1}
    assert folder.queue.counts()["queued"] == 1000 - len(begun)
