"""Schedules in the store: what is to be verified, and when the next time is."""

from __future__ import annotations

from dataclasses import asdict, replace

from sqlalchemy import delete, insert, select, update

from autotune.errors import JobConflictError, JobNotFoundError
from autotune.store.job_selects import database_clock_s
from autotune.store.schedule_records import ScheduleRecord
from autotune.store.schedule_tables import schedules
from autotune.store.store import StudyStore


class ScheduleBook:
    """The schedules of an open store. Every method is one transaction."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store

    def put(self, schedule: ScheduleRecord) -> tuple[ScheduleRecord, bool]:
        """Keep a schedule in the place of the one of its name, and say whether there was none.

        Its first job is asked for one interval from now; what was seen of the machine is kept.

        Raises:
            JobConflictError: it says neither how often nor on what change.
        """
        if schedule.every_s is None and not schedule.on_change:
            raise JobConflictError(
                f"the schedule {schedule.name!r} would never verify anything",
                remedy="say every how many hours, or that a change of the machine is a reason",
            )
        own = schedules.c.name == schedule.name
        with self._store.transaction() as connection:
            before = connection.execute(select(schedules).where(own)).one_or_none()
            now_s = database_clock_s(connection)
            due_s = None if schedule.every_s is None else now_s + schedule.every_s
            kept = replace(schedule, due_s=due_s, seen="" if before is None else before.seen)
            if before is None:
                connection.execute(insert(schedules).values(asdict(kept)))
            else:
                connection.execute(update(schedules).where(own).values(asdict(kept)))
            return kept, before is None

    def schedule(self, name: str) -> ScheduleRecord:
        """Give a schedule.

        Raises:
            JobNotFoundError: there is none of this name.
        """
        with self._store.reading() as connection:
            row = connection.execute(select(schedules).where(schedules.c.name == name)).one_or_none()
        if row is None:
            raise _unknown(name)
        return ScheduleRecord(**row._mapping)

    def schedules(self, machine: str = "") -> tuple[ScheduleRecord, ...]:
        """List the schedules, of one machine where it is named, by name."""
        listed = select(schedules).order_by(schedules.c.name)
        if machine:
            listed = listed.where(schedules.c.machine == machine)
        with self._store.reading() as connection:
            return tuple(ScheduleRecord(**row._mapping) for row in connection.execute(listed))

    def delete(self, name: str) -> None:
        """Forget a schedule; jobs that it has asked for stay.

        Raises:
            JobNotFoundError: there is none of this name.
        """
        with self._store.transaction() as connection:
            if not connection.execute(delete(schedules).where(schedules.c.name == name)).rowcount:
                raise _unknown(name)

    def advance(self, schedule: ScheduleRecord) -> None:
        """Set the next time one interval from now, unless somebody has done so since it was read."""
        own = (schedules.c.name == schedule.name, schedules.c.due_s == schedule.due_s)
        if schedule.due_s is None or schedule.every_s is None:
            return
        with self._store.transaction() as connection:
            due_s = database_clock_s(connection) + schedule.every_s
            connection.execute(update(schedules).where(*own).values(due_s=due_s))

    def note_seen(self, schedule: ScheduleRecord, seen: str) -> bool:
        """Keep what the machine is now; say whether nobody else did since the schedule was read."""
        own = (schedules.c.name == schedule.name, schedules.c.seen == schedule.seen)
        with self._store.transaction() as connection:
            return bool(connection.execute(update(schedules).where(*own).values(seen=seen)).rowcount)


def _unknown(name: str) -> JobNotFoundError:
    return JobNotFoundError(
        f"there is no schedule {name!r}", remedy="list the schedules to see what there is"
    )
