"""Asks for verifications that are due: every so often, and where the machine or a version is another one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from autotune.errors import JobConflictError
from autotune.queue.requests import VerifyValues, values_to_store
from autotune.queue.surroundings import surroundings_digest
from autotune.store.job_records import JobRecord, JobRequest
from autotune.store.jobs import JobQueue
from autotune.store.schedule_records import ScheduleRecord
from autotune.store.schedules import ScheduleBook
from autotune.store.store import StudyStore

BY_SCHEDULE = "schedule"
"""Asks for what is due, as the name of a token does."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scheduler:
    """Asks for the verifications of a machine that are due; call `ask_due` between jobs.

    Two services of one store and machine may do so at once: each job is asked for once.

    Attributes:
        digest: gives what the machine and the versions are now.
    """

    store: StudyStore
    machine: str
    digest: Callable[[], str] = surroundings_digest

    def ask_due(self) -> tuple[JobRecord, ...]:
        """Ask for what is due, and give the new jobs."""
        book, queue = ScheduleBook(self.store), JobQueue(self.store)
        listed = book.schedules(self.machine)
        if not listed:
            return ()
        now_s, seen = queue.now_s(), self.digest()
        asked = []
        for schedule in listed:
            reason = self._reason(book, schedule, now_s, seen)
            if reason:
                asked += self._asked(queue, schedule, reason)
                book.advance(schedule)
        return tuple(asked)

    def _reason(self, book: ScheduleBook, schedule: ScheduleRecord, now_s: float, seen: str) -> str:
        """Say what makes it due, in words that are its key; empty where nothing does.

        The first look at the machine is no change: it only says what a change is one from.
        """
        if schedule.on_change and schedule.seen != seen and book.note_seen(schedule, seen) and schedule.seen:
            return f"changed to {seen[:16]} at {_moment(now_s, 'seconds')}"
        if schedule.due_s is not None and now_s >= schedule.due_s:
            return f"due at {_moment(schedule.due_s, 'milliseconds')}"
        return ""

    def _asked(self, queue: JobQueue, schedule: ScheduleRecord, reason: str) -> list[JobRecord]:
        """Ask for the study's newest plan to be verified; not where there is none, or that is under way."""
        plans = _newest_first(self.store, schedule.study)
        under_way = queue.jobs(
            states=("queued", "running"), kind="verify", machine=schedule.machine, study=schedule.study
        )
        if not plans or any(job.request.asked_by == BY_SCHEDULE for job in under_way):
            _LOG.info("schedule %s: %s, but there is nothing to verify now", schedule.name, reason)
            return []
        values = VerifyValues(
            plan=plans[0],
            tolerance=schedule.tolerance,
            minutes=schedule.minutes,
            webhook=schedule.webhook,
        )
        request = JobRequest(
            "verify",
            schedule.study,
            schedule.machine,
            values_to_store(values),
            priority=schedule.priority,
            client_key=f"schedule {schedule.name} {reason}"[:128],
            asked_by=BY_SCHEDULE,
        )
        try:
            job, is_new = queue.enqueue(request)
        except JobConflictError:  # another service has just asked for it, of another plan
            return []
        _LOG.info("schedule %s: %s: asked for the job %s", schedule.name, reason, job.id)
        return [job] if is_new else []


def _moment(moment_s: float, precision: str) -> str:
    """Write a moment so that people can read it, and two never look alike."""
    return datetime.fromtimestamp(moment_s, UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _newest_first(store: StudyStore, study: str) -> tuple[str, ...]:
    """Give the ids of a study's plans; none where there is no such study yet."""
    return tuple(plan.id for plan in store.plans(study)) if study in store.studies() else ()
