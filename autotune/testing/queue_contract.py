"""The tests that a queue of jobs passes on every database: subclass `JobQueueContract` in a test module.

```python
class TestOnMyServer(JobQueueContract):
    @pytest.fixture
    def url(self) -> str:
        return "postgresql+psycopg://…"     # of a database that is empty
```
"""

# The names of tests are sentences.
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from autotune.errors import JobConflictError, JobNotFoundError
from autotune.store.job_records import JobFault, JobHolder, JobRequest
from autotune.store.jobs import JobQueue
from autotune.store.schedule_records import ScheduleRecord
from autotune.store.schedules import ScheduleBook
from autotune.store.standings import standing, standings
from autotune.store.store import StudyStore, open_store

MACHINE = "here"
HOLDER = JobHolder("a-host", "a-boot", 4711, 1_000)
OTHER = replace(HOLDER, pid=4712)
LOST = JobFault("ProcessGone", "its process (4711) was killed", "resume it")
VERIFY = JobRequest("verify", "quickstart", MACHINE, {"format": 1, "plan": "quickstart-1"})
THREADS = 8


def tune_of(study: str, **others: Any) -> JobRequest:
    """Ask for a study that nobody will run."""
    return JobRequest("tune", study, MACHINE, {"format": 1, "study": {"name": study}}, **others)


class JobQueueContract:
    """What a queue of jobs promises on any database, as tests."""

    @pytest.fixture
    def url(self) -> str:
        """Give the URL of a database that holds nothing yet."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, url: str) -> Iterator[StudyStore]:
        with open_store(url) as store:
            yield store

    @pytest.fixture
    def queue(self, store: StudyStore) -> JobQueue:
        return JobQueue(store)

    def test_a_job_comes_back_as_it_was_asked_for(self, queue: JobQueue) -> None:
        asked, is_new = queue.enqueue(tune_of("a", priority=3, client_key="key", asked_by="me"))
        assert is_new
        assert queue.job(asked.id) == asked
        assert (asked.state, asked.attempts, asked.request.values["study"]) == ("queued", 0, {"name": "a"})
        with pytest.raises(JobNotFoundError):
            queue.job("0" * 16)

    def test_the_same_key_asks_for_the_same_job_and_for_no_other(self, queue: JobQueue) -> None:
        first, _ = queue.enqueue(tune_of("a", client_key="key"))
        assert queue.enqueue(tune_of("a", client_key="key", asked_by="another")) == (first, False)
        with pytest.raises(JobConflictError, match=first.id):
            queue.enqueue(tune_of("b", client_key="key"))
        assert len(queue.jobs()) == 1

    def test_one_key_that_many_ask_with_at_once_gives_one_job(self, queue: JobQueue) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            asked = list(
                threads.map(lambda _: queue.enqueue(tune_of("a", client_key="key"))[0].id, range(THREADS))
            )
        assert len({*asked}) == len(queue.jobs()) == 1

    def test_jobs_are_begun_by_priority_and_then_in_the_order_in_which_they_were_asked_for(
        self, queue: JobQueue
    ) -> None:
        asked = [queue.enqueue(tune_of(name, priority=priority))[0].id for name, priority in _PRIORITIES]
        queue.reorder(asked[4], 9)
        listed = [job.request.study for job in queue.waiting(MACHINE)]
        begun = []
        while (job := queue.begin(MACHINE, HOLDER)) is not None:
            begun.append(job.request.study)
            queue.end(job.id, HOLDER, "done")
        assert begun == listed == ["e", "b", "c", "a", "d"]

    def test_of_many_that_begin_at_once_one_gets_the_job(self, queue: JobQueue) -> None:
        for name in "abcd":
            queue.enqueue(tune_of(name))
        holders = [replace(HOLDER, pid=pid) for pid in range(1, THREADS + 1)]
        with ThreadPoolExecutor(THREADS) as threads:
            begun = list(threads.map(lambda holder: queue.begin(MACHINE, holder), holders))
        assert sum(job is not None for job in begun) == 1
        assert queue.counts() == {"queued": 3, "running": 1}

    def test_each_machine_runs_a_job_of_its_own(self, queue: JobQueue) -> None:
        queue.enqueue(tune_of("a"))
        queue.enqueue(replace(tune_of("b"), machine="there"))
        assert queue.begin(MACHINE, HOLDER) is not None
        assert queue.begin("there", OTHER) is not None
        assert queue.begin("elsewhere", OTHER) is None

    def test_events_are_numbered_without_gaps_and_only_their_holder_tells_them(self, queue: JobQueue) -> None:
        job_id = queue.enqueue(tune_of("a"))[0].id
        queue.begin(MACHINE, HOLDER)
        assert [queue.tell(job_id, HOLDER, f'{{"event": {number}}}') for number in range(3)] == [1, 2, 3]
        with pytest.raises(JobConflictError):
            queue.tell(job_id, OTHER, "{}")
        assert [told.number for told in queue.events(job_id, after=1)] == [2, 3]
        assert [told.event for told in queue.events(job_id, limit=1)] == ['{"event": 0}']

    def test_what_came_of_a_job_is_kept_by_its_holder_alone(self, queue: JobQueue) -> None:
        job_id = queue.enqueue(tune_of("a"))[0].id
        queue.begin(MACHINE, HOLDER)
        with pytest.raises(JobConflictError):
            queue.end(job_id, OTHER, "done")
        queue.end(job_id, HOLDER, "done", plan="a-1", result={"verdict": "holds"})
        job = queue.job(job_id)
        assert (job.state, job.plan, job.result, job.holder) == ("done", "a-1", {"verdict": "holds"}, None)
        with pytest.raises(JobConflictError):
            queue.end(job_id, HOLDER, "failed")

    def test_a_job_whose_holder_died_waits_again_until_it_has_killed_too_many(self, queue: JobQueue) -> None:
        job_id = queue.enqueue(tune_of("a"))[0].id
        for attempt in (1, 2, 3):
            begun = queue.begin(MACHINE, HOLDER)
            assert begun is not None
            assert begun.attempts == attempt
            assert queue.free(job_id, OTHER, most_attempts=3, fault=LOST) is None
            freed = queue.free(job_id, HOLDER, most_attempts=3, fault=LOST)
            assert freed is not None
            assert (freed.state, freed.fault) == ("failed" if attempt == 3 else "queued", LOST)
        assert queue.free(job_id, HOLDER, most_attempts=3, fault=LOST) is None
        resumed = queue.resume(job_id)
        assert (resumed.state, resumed.attempts, resumed.fault) == ("queued", 0, None)

    def test_a_job_that_its_holder_gives_back_waits_again_and_that_was_no_attempt(
        self, queue: JobQueue
    ) -> None:
        job_id = queue.enqueue(tune_of("a"))[0].id
        queue.begin(MACHINE, HOLDER)
        assert queue.give_back(job_id, OTHER) is None
        given = queue.give_back(job_id, HOLDER)
        assert given is not None
        assert (given.state, given.attempts, given.ended_s) == ("queued", 0, None)

    def test_a_job_leads_to_the_plan_that_was_stored_before_its_holder_left_it(self, queue: JobQueue) -> None:
        job_id = queue.enqueue(tune_of("a"))[0].id
        for plan in ("a-1", ""):
            queue.begin(MACHINE, HOLDER)
            queue.give_back(job_id, HOLDER, plan=plan)
            assert queue.job(job_id).plan == "a-1"
        queue.begin(MACHINE, HOLDER)
        queue.end(job_id, HOLDER, "failed", fault=LOST)
        assert queue.job(job_id).plan == "a-1"

    def test_what_somebody_cancels_ends_however_its_holder_leaves_it(self, queue: JobQueue) -> None:
        waits = queue.enqueue(tune_of("a"))[0].id
        assert queue.cancel(waits).state == "cancelled"
        for leave in _LEAVING:
            job_id = queue.enqueue(tune_of("b"))[0].id
            queue.begin(MACHINE, HOLDER)
            assert not queue.is_stop_asked(job_id)
            assert queue.cancel(job_id).state == "running"
            assert queue.is_stop_asked(job_id)
            with pytest.raises(JobConflictError, match="just being stopped"):
                queue.resume(job_id)
            leave(queue, job_id)
            assert queue.job(job_id).state == "cancelled"
            queue.resume(job_id)
            assert not queue.is_stop_asked(job_id)
            queue.cancel(job_id)

    def test_a_job_that_runs_is_not_deleted_and_one_that_does_not_takes_its_events_with_it(
        self, queue: JobQueue
    ) -> None:
        job_id = queue.enqueue(tune_of("a"))[0].id
        queue.begin(MACHINE, HOLDER)
        queue.tell(job_id, HOLDER, "{}")
        with pytest.raises(JobConflictError, match="cancel it first"):
            queue.delete(job_id)
        queue.end(job_id, HOLDER, "failed", fault=LOST)
        queue.delete(job_id)
        assert queue.events(job_id) == ()
        assert queue.is_stop_asked(job_id)

    def test_a_holder_of_another_machine_is_believed_until_the_databases_clock_says_otherwise(
        self, queue: JobQueue
    ) -> None:
        queue.enqueue(tune_of("a"))
        job = queue.begin(MACHINE, HOLDER)
        assert job is not None
        assert not queue.is_expired(job)
        assert queue.is_expired(replace(job, held_until_s=queue.now_s() - 1.0))

    def test_a_thousand_jobs_are_begun_in_their_order(self, queue: JobQueue) -> None:
        asked = [queue.enqueue(tune_of(f"s{number}"))[0].id for number in range(1000)]
        assert [job.id for job in queue.waiting(MACHINE)] == asked
        assert queue.counts() == {"queued": 1000}
        first = queue.begin(MACHINE, HOLDER)
        assert first is not None
        assert first.id == asked[0]

    def test_a_plan_stands_as_its_newest_verification_that_could_tell_has_shown(
        self, store: StudyStore, queue: JobQueue
    ) -> None:
        for verdict in ("holds", "worse", "undecided"):
            queue.enqueue(VERIFY)
            job = queue.begin(MACHINE, HOLDER)
            assert job is not None
            queue.end(job.id, HOLDER, "done", plan="quickstart-1", result={"verdict": verdict})
        found = standing(store, "quickstart-1")
        assert found is not None
        assert (found.verdict, found.is_worse) == ("worse", True)
        assert standings(store) == standings(store, ["quickstart-1", "other"]) == {"quickstart-1": found}
        assert standing(store, "other") is None

    def test_schedules_are_kept_changed_and_deleted_by_name(self, store: StudyStore) -> None:
        book = ScheduleBook(store)
        nightly, is_new = book.put(ScheduleRecord("nightly", "quickstart", MACHINE, every_s=86_400.0))
        assert is_new
        assert book.schedule("nightly") == nightly
        assert nightly.due_s is not None
        assert book.note_seen(nightly, "machine")
        assert not book.note_seen(nightly, "another")
        changed, is_new = book.put(replace(nightly, every_s=3_600.0, on_change=True))
        assert not is_new
        assert changed.seen == "machine"
        assert changed.due_s is not None
        assert changed.due_s < nightly.due_s
        assert book.schedules(MACHINE) == (changed,)
        assert book.schedules("there") == ()
        book.advance(changed)
        assert (book.schedule("nightly").due_s or 0.0) > changed.due_s
        with pytest.raises(JobConflictError, match="never verify anything"):
            book.put(replace(nightly, every_s=None))
        book.delete("nightly")
        with pytest.raises(JobNotFoundError):
            book.delete("nightly")


_PRIORITIES = (("a", 0), ("b", 5), ("c", 5), ("d", -1), ("e", 0))

_LEAVING: tuple[Callable[[JobQueue, str], object], ...] = (
    lambda queue, job_id: queue.end(job_id, HOLDER, "cancelled"),
    lambda queue, job_id: queue.give_back(job_id, HOLDER),
    lambda queue, job_id: queue.free(job_id, HOLDER, most_attempts=3, fault=LOST),
)
