"""The queue of jobs: who asked for what, who runs it, what was told of it, and what came of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from autotune.errors import JobConflictError, JobNotFoundError
from autotune.store.job_records import (
    ENDED,
    JobFault,
    JobHolder,
    JobRecord,
    JobRequest,
    JobState,
    ToldEvent,
)
from autotune.store.job_rows import (
    NO_HOLDER,
    digest_of,
    holder_columns,
    is_held_by,
    job_record,
    request_row,
)
from autotune.store.job_selects import database_clock_s, filtered, locked, running_on
from autotune.store.job_tables import events, jobs
from autotune.store.store import StudyStore

_TICK_S = 1e-6
"""Between jobs that were asked for at one reading of the clock, of which SQLite's has thousands a second."""
_SAME_S = 1.0
"""The newest job may be so far ahead of the clock, and is taken for asked for just now. One that is further
ahead was asked for before somebody set the clock back."""

_NEWEST = (jobs.c.asked_s.desc(), jobs.c.id)
_NEXT = (jobs.c.priority.desc(), jobs.c.asked_s, jobs.c.id)
_LISTED = [column for column in jobs.c if column.name not in ("request", "result")]


class JobQueue:
    """The jobs of an open store. Every method is one transaction."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store

    def enqueue(self, request: JobRequest) -> tuple[JobRecord, bool]:
        """Put a job at the end of its priority's line, and say whether it is new.

        Asking again with the same key gives the job that there is.

        Raises:
            JobConflictError: the key was used for another request.
        """
        digest = digest_of(request)
        with self._store.transaction() as connection:
            known = self._of_key(connection, request.client_key, digest)
            if known is not None:
                return known, False
            job_id = secrets.token_hex(8)
            row = request_row(request) | {
                "id": job_id,
                "digest": digest,
                "state": "queued",
                "asked_s": _next_asked_s(connection),
                "attempts": 0,
            }
            try:
                with connection.begin_nested():
                    connection.execute(insert(jobs).values(row))
            except IntegrityError:  # somebody asked with this key meanwhile
                known = self._of_key(connection, request.client_key, digest)
                if known is None:
                    raise
                return known, False
            return job_record(self._row(connection, job_id)), True

    def job(self, job_id: str) -> JobRecord:
        """Give a job.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        with self._store.reading() as connection:
            return job_record(self._row(connection, job_id))

    def jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        study: str = "",
        machine: str = "",
        kind: str = "",
        plan: str = "",
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[JobRecord, ...]:
        """List jobs, newest first, without their requests' values and results."""
        listed = filtered(select(*_LISTED), states=states, study=study, machine=machine, kind=kind, plan=plan)
        with self._store.reading() as connection:
            rows = connection.execute(listed.order_by(*_NEWEST).limit(limit).offset(offset))
            return tuple(job_record(row) for row in rows)

    def waiting(self, machine: str = "", *, limit: int = 1000) -> tuple[JobRecord, ...]:
        """List what waits in the order in which it will be begun, without values and results."""
        listed = filtered(select(*_LISTED), states=("queued",), machine=machine)
        with self._store.reading() as connection:
            return tuple(job_record(row) for row in connection.execute(listed.order_by(*_NEXT).limit(limit)))

    def counts(self) -> Mapping[str, int]:
        """Count the jobs of each state; a state without any is left out."""
        counted = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        with self._store.reading() as connection:
            return {state: count for state, count in connection.execute(counted)}  # noqa: C416

    def running(self, machine: str) -> JobRecord | None:
        """Give the job that runs on a machine, whoever holds it, dead or alive."""
        with self._store.reading() as connection:
            row = connection.execute(running_on(machine)).one_or_none()
            return None if row is None else job_record(row)

    def begin(self, machine: str, holder: JobHolder) -> JobRecord | None:
        """Take the next job of a machine for a process; None where none waits, or one runs there.

        Of two that ask at once one gets it: the database holds one running job for each machine.
        """
        first = filtered(select(jobs.c.id), states=("queued",), machine=machine)
        with self._store.transaction() as connection:
            if connection.execute(running_on(machine)).first() is not None:
                return None
            job_id = connection.scalar(first.order_by(*_NEXT).limit(1))
            if job_id is None:
                return None
            now_s = database_clock_s(connection)
            taken = (
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state == "queued")
                .values(
                    state="running",
                    started_s=func.coalesce(jobs.c.started_s, now_s),
                    attempts=jobs.c.attempts + 1,
                    **holder_columns(holder, now_s),
                )
            )
            try:
                with connection.begin_nested():
                    is_taken = bool(connection.execute(taken).rowcount)
            except IntegrityError:  # another one runs there meanwhile
                return None
            return job_record(self._row(connection, job_id)) if is_taken else None

    def tell(self, job_id: str, holder: JobHolder, event: str) -> int:
        """Keep an event of a running job, and the job for its holder a while longer; give its number.

        Raises:
            JobConflictError: the job is not this holder's any more, who must end.
        """
        with self._store.transaction() as connection:
            now_s = database_clock_s(connection)
            self._hold(connection, job_id, holder, holder_columns(holder, now_s))
            newest = select(func.coalesce(func.max(events.c.number), 0)).where(events.c.job_id == job_id)
            number = int(connection.scalar(newest) or 0) + 1
            connection.execute(insert(events).values(job_id=job_id, number=number, told_s=now_s, event=event))
            return number

    def events(self, job_id: str, *, after: int = 0, limit: int = 1000) -> tuple[ToldEvent, ...]:
        """Give the events of a job that come after a number, in order."""
        listed = select(events).where(events.c.job_id == job_id, events.c.number > after)
        with self._store.reading() as connection:
            rows = connection.execute(listed.order_by(events.c.number).limit(limit))
            return tuple(ToldEvent(row.number, row.told_s, row.event) for row in rows)

    def is_stop_asked(self, job_id: str) -> bool:
        """Say whether somebody wants a job to end early, or has deleted it."""
        with self._store.reading() as connection:
            asked = connection.scalar(select(jobs.c.stop_asked).where(jobs.c.id == job_id))
            return asked is None or bool(asked)

    def end(
        self,
        job_id: str,
        holder: JobHolder,
        state: JobState,
        *,
        plan: str = "",
        result: Mapping[str, Any] | None = None,
        fault: JobFault | None = None,
    ) -> None:
        """Keep what came of a running job; without a plan, that of an attempt before it stays.

        Raises:
            JobConflictError: the job is not this holder's any more.
        """
        with self._store.transaction() as connection:
            self._hold(
                connection,
                job_id,
                holder,
                NO_HOLDER
                | {
                    "state": state,
                    "ended_s": database_clock_s(connection),
                    **({"plan": plan} if plan else {}),
                    "result": None if result is None else dict(result),
                    "fault": None if fault is None else asdict(fault),
                },
            )

    def free(
        self, job_id: str, holder: JobHolder, *, most_attempts: int, fault: JobFault
    ) -> JobRecord | None:
        """Take a job from a holder that is dead; None where it is not that holder's any more.

        It waits again, and keeps the fault, unless it was to be stopped, or has killed so many processes that
        it has failed.
        """
        with self._store.transaction() as connection:
            row = self._held(connection, job_id, holder)
            if row is None:
                return None
            after: JobState = "failed" if row.attempts >= most_attempts else "queued"
            return self._let_go(connection, row, after, {"fault": asdict(fault)})

    def give_back(self, job_id: str, holder: JobHolder, *, plan: str = "") -> JobRecord | None:
        """Let a job wait again that its holder was told to leave; None where it is not his any more.

        That was no attempt. A job that was to be stopped is cancelled.

        Args:
            plan: what was stored of it until then; the job leads to it until a later one is found.
        """
        with self._store.transaction() as connection:
            row = self._held(connection, job_id, holder)
            if row is None:
                return None
            found = {"plan": plan} if plan else {}
            return self._let_go(connection, row, "queued", {"attempts": row.attempts - 1} | found)

    def is_expired(self, record: JobRecord) -> bool:
        """Say whether a holder on another machine was not heard of for too long, by the database's clock."""
        with self._store.reading() as connection:
            return record.held_until_s is not None and database_clock_s(connection) > record.held_until_s

    def cancel(self, job_id: str) -> JobRecord:
        """End a job that waits, or ask one that runs to end; an ended one stays as it is.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        with self._store.transaction() as connection:
            row = self._row(connection, job_id, lock=True)
            if row.state == "queued":
                after = {"state": "cancelled", "ended_s": database_clock_s(connection), "stop_asked": True}
            elif row.state == "running":
                after = {"stop_asked": True}
            else:
                return job_record(row)
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(**after))
            return job_record(self._row(connection, job_id))

    def resume(self, job_id: str) -> JobRecord:
        """Let a job that was cancelled or failed wait again; one that waits or runs stays as it is.

        Raises:
            JobNotFoundError: there is none of this id.
            JobConflictError: it is done, or is just ending.
        """
        with self._store.transaction() as connection:
            row = self._row(connection, job_id, lock=True)
            if row.state == "done":
                raise JobConflictError(f"the job {job_id} is done", remedy="ask for a new job")
            if row.state == "running" and row.stop_asked:
                raise JobConflictError(
                    f"the job {job_id} is just being stopped", remedy="resume it once it is cancelled"
                )
            if row.state in ENDED:
                again = {
                    "state": "queued",
                    "stop_asked": False,
                    "started_s": None,
                    "ended_s": None,
                    "attempts": 0,
                    "result": None,
                    "fault": None,
                }
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(**again))
            return job_record(self._row(connection, job_id))

    def reorder(self, job_id: str, priority: int) -> JobRecord:
        """Give a job that waits another priority.

        Raises:
            JobNotFoundError: there is none of this id.
            JobConflictError: it does not wait.
        """
        with self._store.transaction() as connection:
            row = self._row(connection, job_id, lock=True)
            if row.state != "queued":
                raise JobConflictError(
                    f"the job {job_id} is {row.state}", remedy="only what waits has a place"
                )
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(priority=priority))
            return job_record(self._row(connection, job_id))

    def delete(self, job_id: str) -> None:
        """Forget a job and its events; studies and plans stay.

        Raises:
            JobNotFoundError: there is none of this id.
            JobConflictError: it runs.
        """
        with self._store.transaction() as connection:
            row = self._row(connection, job_id, lock=True)
            if row.state == "running":
                raise JobConflictError(f"the job {job_id} is running", remedy="cancel it first")
            connection.execute(delete(events).where(events.c.job_id == job_id))
            connection.execute(delete(jobs).where(jobs.c.id == job_id))

    def now_s(self) -> float:
        """Give the time by the database's clock, in Unix time."""
        with self._store.reading() as connection:
            return database_clock_s(connection)

    def _of_key(self, connection: Connection, key: str | None, digest: str) -> JobRecord | None:
        if key is None:
            return None
        row = connection.execute(select(jobs).where(jobs.c.client_key == key)).one_or_none()
        if row is not None and row.digest != digest:
            raise JobConflictError(
                f"the key {key!r} was used for another request, which is the job {row.id}",
                remedy="use a new key for another request",
            )
        return None if row is None else job_record(row)

    def _row(self, connection: Connection, job_id: str, *, lock: bool = False) -> Row[Any]:
        found = select(jobs).where(jobs.c.id == job_id)
        row = connection.execute(locked(found) if lock else found).one_or_none()
        if row is None:
            raise JobNotFoundError(f"there is no job {job_id!r}", remedy="list the jobs to see what there is")
        return row

    def _held(self, connection: Connection, job_id: str, holder: JobHolder) -> Row[Any] | None:
        """Give the row of a running job that this holder has, and keep it from changing."""
        row = connection.execute(locked(select(jobs).where(jobs.c.id == job_id))).one_or_none()
        is_his = row is not None and row.state == "running" and job_record(row).holder == holder
        return row if is_his else None

    def _let_go(
        self, connection: Connection, row: Row[Any], after: JobState, columns: dict[str, Any]
    ) -> JobRecord:
        """Take a running job from its holder; what was to be stopped does not wait again."""
        state = "cancelled" if row.stop_asked else after
        ended_s = None if state == "queued" else database_clock_s(connection)
        let_go: dict[str, Any] = NO_HOLDER | {"state": state, "ended_s": ended_s} | columns
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(**let_go))
        return job_record(self._row(connection, row.id))

    def _hold(
        self, connection: Connection, job_id: str, holder: JobHolder, columns: Mapping[str, Any]
    ) -> None:
        """Change a running job of this holder's.

        Raises:
            JobConflictError: it is not his any more.
        """
        own = and_(jobs.c.id == job_id, jobs.c.state == "running", *is_held_by(holder))
        if not connection.execute(update(jobs).where(own).values(**columns)).rowcount:
            raise JobConflictError(
                f"the job {job_id} is not this process's any more",
                remedy="it was taken for dead, and somebody else goes on with it",
            )


def _next_asked_s(connection: Connection) -> float:
    """Give the time as the database has it, but later than the newest job's: who came first is first."""
    now_s = database_clock_s(connection)
    newest_s = connection.scalar(select(func.max(jobs.c.asked_s)))
    if newest_s is None or not now_s <= newest_s < now_s + _SAME_S:
        return now_s
    return float(newest_s) + _TICK_S
