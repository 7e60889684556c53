"""Takes the next job of a machine, does it, and keeps what came of it, or lets it wait again."""

from __future__ import annotations

import logging
import os
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autotune.errors import AutotuneError, JobConflictError, NotStoredError, StoreError
from autotune.events import AttemptBegan
from autotune.jobs.interruption import Interruption
from autotune.machine.cpus import parse_cpu_list
from autotune.queue.holding import holder_of
from autotune.queue.job_log import begin_log
from autotune.queue.kinds import NOTHING, JobResult, run_kind
from autotune.queue.orders import JobOrders, orders_from_json
from autotune.queue.reaping import MOST_ATTEMPTS
from autotune.queue.telling import JobLost, Telling
from autotune.queue.trying import patiently
from autotune.queue.wake import Waker
from autotune.stop import Stop, Stopped
from autotune.store.in_use import using_store
from autotune.store.job_records import JobFault, JobHolder, JobRecord, JobState
from autotune.store.jobs import JobQueue
from autotune.store.store import StudyStore, open_store

BUG = "please report it with the job's log, which lies in the service's state folder"

_LOG = logging.getLogger(__name__)


def work(line: bytes, keeper: int, *, unblocked: Sequence[signal.Signals] = ()) -> int:
    """Do the next job as its keeper's child; give the status to exit with, which is 0 where there is none.

    Args:
        line: `JobOrders`, as they travel.
        keeper: process id of the keeper, who holds the job in the store.
        unblocked: signals that are blocked until this can do as they say.

    Raises:
        StoreError: the store cannot be opened, or no job be taken.
    """
    orders, stop = orders_from_json(line), Stop()
    if orders.cpus:
        os.sched_setaffinity(0, parse_cpu_list(orders.cpus))
    with (
        Interruption(stop),
        _unblocked(unblocked),
        using_store(orders.store, "job"),
        open_store(orders.store, runs_studies=False) as store,
    ):
        holder, queue = holder_of(keeper), JobQueue(store)
        job = queue.begin(orders.machine, holder)
        if job is None:
            return 0
        begin_log(Path(orders.state), job.id)
        return _Work(orders, store, job, holder, stop).do()


@contextmanager
def _unblocked(signals: Sequence[signal.Signals]) -> Iterator[None]:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    yield


@dataclass(frozen=True)
class _Ended:
    """What is to be kept of a job: its state, or None where it is to wait again."""

    state: JobState | None
    result: JobResult = NOTHING
    fault: JobFault | None = None


@dataclass(frozen=True)
class _Work:
    """One job, by the process that does it."""

    orders: JobOrders
    store: StudyStore
    job: JobRecord
    holder: JobHolder
    stop: Stop

    @property
    def queue(self) -> JobQueue:
        return JobQueue(self.store)

    def do(self) -> int:
        """Do the job, keep what came of it, and wake those who listen; give the status to exit with."""
        waker = Waker(Path(self.orders.state))
        telling = Telling(self.queue, self.job.id, self.holder, waker, self.stop)
        _LOG.info("job %s begins: attempt %d", self.job.id, self.job.attempts)
        try:
            ended = self._outcome(telling)
            with self.stop.finishing():
                return self._keep(ended)
        except (JobLost, JobConflictError):
            _LOG.warning("job %s is not this process's any more: somebody took it for dead", self.job.id)
            return 0
        finally:
            waker.wake(self.job.id)

    def _outcome(self, telling: Telling) -> _Ended:
        """Do it, and say what came of it."""
        try:
            reason = "" if self.job.fault is None else self.job.fault.problem
            telling(AttemptBegan(self.job.attempts, reason))
            self.stop.heed()
            result = run_kind(self.job, self.store, self.orders, emit=telling, stop=self.stop)
        except Stopped:
            return _Ended(None)
        except AutotuneError as error:
            return self._failed(error)
        except Exception as error:
            return self._broke(error)
        return _Ended(None if result.stopped else "done", result)

    def _failed(self, error: AutotuneError) -> _Ended:
        """Give up, but where the store is in the way: that may pass, so the job waits again."""
        _LOG.error("job %s: %s", self.job.id, error.in_one_line)
        may_pass = isinstance(error, StoreError) and not isinstance(error, NotStoredError)
        return _Ended(None if may_pass else "failed", fault=fault_of(error))

    def _broke(self, error: Exception) -> _Ended:
        """Say that it is a bug, unless the database was in the way, as Optuna passes that on."""
        _LOG.error("%s", traceback.format_exc())
        if is_of_the_database(error):
            return self._failed(StoreError(f"the store could not be used: {error}"))
        kind = type(error).__name__
        return _Ended("failed", fault=JobFault(kind, f"this is a bug in autotune: {kind}: {error}", BUG))

    def _keep(self, ended: _Ended) -> int:
        """Write the end of the job; where the store cannot be written for long, leave that to who finds it.

        A job that nobody cancelled waits again: it was told to stop because the machine or its service ends.
        """
        try:
            patiently(lambda: self._write(ended))
        except StoreError as error:
            _LOG.error("job %s: what came of it could not be kept: %s", self.job.id, error.in_one_line)
            return 1
        return 0

    def _write(self, ended: _Ended) -> None:
        job_id, result = self.job.id, ended.result
        state, fault = ended.state, ended.fault
        if state is None and fault is not None:
            self.queue.free(job_id, self.holder, most_attempts=MOST_ATTEMPTS, fault=fault)
        elif state is None and not self.queue.is_stop_asked(job_id):
            self.queue.give_back(job_id, self.holder, plan=result.plan)
        else:
            if state is None and result.reason:
                fault = JobFault("Stopped", result.reason)
            state = state or "cancelled"
            self.queue.end(job_id, self.holder, state, plan=result.plan, result=result.document, fault=fault)
        _LOG.info("job %s ends: %s", job_id, self.queue.job(job_id).state)


def fault_of(error: AutotuneError) -> JobFault:
    """Keep an error in its own words."""
    return JobFault(type(error).__name__, error.problem, error.remedy)


def is_of_the_database(error: BaseException) -> bool:
    """Say whether an error comes from the database at last, as Optuna passes it on."""
    from sqlalchemy.exc import DBAPIError

    links: BaseException | None = error
    while links is not None:
        if isinstance(links, DBAPIError):
            return True
        links = links.__cause__ or links.__context__
    return False
