"""The end of what was told of a job."""

from __future__ import annotations

from sqlalchemy import select

from autotune.store.job_records import ToldEvent
from autotune.store.job_tables import events
from autotune.store.store import StudyStore


def newest_events(store: StudyStore, job_id: str, count: int) -> tuple[ToldEvent, ...]:
    """Give the last events of a job, at most so many, in order."""
    listed = select(events).where(events.c.job_id == job_id).order_by(events.c.number.desc()).limit(count)
    with store.reading() as connection:
        rows = connection.execute(listed).all()
    return tuple(ToldEvent(row.number, row.told_s, row.event) for row in reversed(rows))
