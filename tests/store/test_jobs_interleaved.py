"""Whatever is done with a queue in whatever order, a machine runs one job at once, and no job is lost."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from autotune.errors import JobConflictError
from autotune.store.job_records import ENDED, JobHolder, JobRequest
from autotune.store.jobs import JobQueue
from autotune.store.store import open_store
from autotune.testing.queue_contract import LOST

MACHINES = st.sampled_from(["here", "there"])
HOLDERS = st.builds(JobHolder, st.just("a-host"), st.just("a-boot"), st.integers(1, 3), st.just(9))
MOST_ATTEMPTS = 2


class Interleaved(RuleBasedStateMachine):
    """Keeps what must be true of every job beside what the store says."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        folder = Path(self.opened.enter_context(tempfile.TemporaryDirectory()))
        self.queue = JobQueue(self.opened.enter_context(open_store(f"sqlite:///{folder / 'queue.db'}")))
        self.held: dict[str, JobHolder] = {}
        self.known: set[str] = set()

    def teardown(self) -> None:
        self.opened.close()

    @rule(target=ids, machine=MACHINES, priority=st.integers(-1, 1))
    def ask(self, machine: str, priority: int) -> str:
        job, is_new = self.queue.enqueue(JobRequest("tune", "s", machine, {}, priority=priority))
        assert is_new
        self.known.add(job.id)
        return job.id

    @rule(machine=MACHINES, holder=HOLDERS)
    def begin(self, machine: str, holder: JobHolder) -> None:
        waiting, running = self.queue.waiting(machine), self.queue.running(machine)
        begun = self.queue.begin(machine, holder)
        if running is not None or not waiting:
            assert begun is None
        else:
            assert begun is not None
            assert (begun.id, begun.holder) == (waiting[0].id, holder)
            self.held[begun.id] = holder

    @rule(job_id=ids, holder=HOLDERS, state=st.sampled_from(ENDED))
    def end(self, job_id: str, holder: JobHolder, state: str) -> None:
        try:
            self.queue.end(job_id, holder, state)  # type: ignore[arg-type]
        except JobConflictError:
            assert self.held.get(job_id) != holder
        else:
            assert self.held.pop(job_id) == holder
            assert self.queue.job(job_id).state == state

    @rule(job_id=ids, holder=HOLDERS)
    def tell(self, job_id: str, holder: JobHolder) -> None:
        before = len(self.queue.events(job_id))
        try:
            assert self.queue.tell(job_id, holder, "{}") == before + 1
        except JobConflictError:
            assert self.held.get(job_id) != holder

    @rule(job_id=ids, holder=HOLDERS)
    def free(self, job_id: str, holder: JobHolder) -> None:
        freed = self.queue.free(job_id, holder, most_attempts=MOST_ATTEMPTS, fault=LOST)
        if self.held.get(job_id) == holder:
            assert freed is not None
            assert freed.state == ("cancelled" if freed.stop_asked else _after(freed.attempts))
            del self.held[job_id]
        else:
            assert freed is None

    @rule(job_id=ids, holder=HOLDERS)
    def give_back(self, job_id: str, holder: JobHolder) -> None:
        given = self.queue.give_back(job_id, holder)
        if self.held.get(job_id) == holder:
            assert given is not None
            assert given.state == ("cancelled" if given.stop_asked else "queued")
            del self.held[job_id]
        else:
            assert given is None

    @rule(job_id=ids)
    def cancel(self, job_id: str) -> None:
        was_held = job_id in self.held
        after = self.queue.cancel(job_id)
        assert (after.state == "running") == was_held
        assert was_held or after.is_ended

    @rule(job_id=ids)
    def resume(self, job_id: str) -> None:
        before = self.queue.job(job_id)
        try:
            after = self.queue.resume(job_id)
        except JobConflictError:
            assert before.state == "done" or (before.state == "running" and before.stop_asked)
        else:
            assert after.state == ("running" if before.state == "running" else "queued")

    @rule(job_id=ids, priority=st.integers(-2, 2))
    def reorder(self, job_id: str, priority: int) -> None:
        before = self.queue.job(job_id)
        try:
            assert self.queue.reorder(job_id, priority).request.priority == priority
        except JobConflictError:
            assert before.state != "queued"

    @rule(job_id=consumes(ids))
    def delete(self, job_id: str) -> None:
        try:
            self.queue.delete(job_id)
        except JobConflictError:
            assert job_id in self.held
        else:
            self.known.remove(job_id)

    @invariant()
    def a_machine_runs_one_job_and_none_is_lost(self) -> None:
        listed = self.queue.jobs(limit=1000)
        assert {job.id for job in listed} == self.known
        running = [job for job in listed if job.state == "running"]
        assert len({job.request.machine for job in running}) == len(running)
        assert {job.id: job.holder for job in running} == self.held
        assert all(job.holder is None for job in listed if job.state != "running")
        assert all(job.is_ended == (job.ended_s is not None) for job in listed)


def _after(attempts: int) -> str:
    return "failed" if attempts >= MOST_ATTEMPTS else "queued"


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
