"""What metrics show of a store: how long jobs and trials took, who waited, and what disturbed trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, select

from autotune.store.job_tables import events, jobs
from autotune.store.store import StudyStore
from autotune.store.tables import confirmations, studies, trials

WAITED: Final = '%"event":"waiting_ended"%'
"""What is in the line of an event that tells how long was waited for others."""

TRIALS_READ: Final = 200
"""So many trials, or runs of rounds, with their raw values are looked at, at a time."""


@dataclass(frozen=True)
class SpentTime:
    """How often something was done, and how many seconds that took together."""

    count: int
    seconds: float


def job_times(store: StudyStore) -> Mapping[tuple[str, str], SpentTime]:
    """By kind and final state, how many jobs have ended, and how long they took from their beginning."""
    taken_s = func.sum(jobs.c.ended_s - jobs.c.started_s)
    ended = (
        select(jobs.c.kind, jobs.c.state, func.count(), taken_s)
        .where(jobs.c.ended_s.is_not(None), jobs.c.started_s.is_not(None))
        .group_by(jobs.c.kind, jobs.c.state)
    )
    with store.reading() as connection:
        rows = connection.execute(ended)
        return {(kind, state): SpentTime(count, seconds or 0.0) for kind, state, count, seconds in rows}


def trial_times(store: StudyStore) -> Mapping[str, SpentTime]:
    """By study, how many trials have ended, and how long they took from launch to end."""
    taken_s = func.sum(trials.c.ended_s - trials.c.started_s)
    spent = select(studies.c.name, func.count(), taken_s).join_from(trials, studies).group_by(studies.c.name)
    with store.reading() as connection:
        rows = connection.execute(spent)
        return {name: SpentTime(count, float(seconds)) for name, count, seconds in rows}


@dataclass
class WaitCounter:
    """Counts how often and how long jobs waited for others who measure; reads each event once.

    Attributes:
        count, seconds: until now, of all jobs that the store has or had meanwhile.
    """

    count: int = 0
    seconds: float = 0.0
    _last: int = field(default=0, init=False)

    def read(self, store: StudyStore) -> None:
        """Count what was told since the last call."""
        with store.reading() as connection:
            newest = int(connection.scalar(select(func.max(events.c.id))) or 0)
            new = select(events.c.event).where(events.c.id > self._last, events.c.event.like(WAITED))
            for line in connection.scalars(new):
                self.count += 1
                self.seconds += float(json.loads(line).get("seconds", 0.0))
        self._last = newest


@dataclass
class BlockCounter:
    """Counts what became of measuring windows since it was begun, rounds included; reads each result once.

    Attributes:
        kept: windows that count; dropped: those that do not, as the host disturbed them.
        measuring_s: how long was measured.
    """

    kept: int = 0
    dropped: int = 0
    measuring_s: float = 0.0
    _last: dict[str, int] = field(default_factory=dict, init=False)

    def begin(self, store: StudyStore) -> None:
        """Count from here on; what ended before is passed over.

        Raises:
            StoreError: the store cannot be read now.
        """
        with store.reading() as connection:
            for table in (trials, confirmations):
                self._last[table.name] = int(connection.scalar(select(func.max(table.c.id))) or 0)

    def read(self, store: StudyStore) -> None:
        """Count what ended since the last call, as far as is looked at in one.

        Raises:
            StoreError: the store cannot be read now.
        """
        if not self._last:
            self.begin(store)
            return
        with store.reading() as connection:
            for table in (trials, confirmations):
                new = select(table.c.id, table.c.result).where(
                    table.c.id > self._last[table.name], table.c.failure.is_(None)
                )
                for row in connection.execute(new.order_by(table.c.id).limit(TRIALS_READ)):
                    self._last[table.name] = row.id
                    self._count(row.result)

    def _count(self, result: Any) -> None:
        if isinstance(result, dict):
            self.kept += len(result.get("blocks") or ())
            self.dropped += len(result.get("dropped") or ())
            self.measuring_s += float(result.get("measuring_s") or 0.0)
