"""What metrics show of a store: how long jobs and trials took, who waited, and what disturbed trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import func, select

from autotune.store.job_tables import events, jobs
from autotune.store.store import StudyStore
from autotune.store.tables import studies, trials

WAITED: Final = '%"event":"waiting_ended"%'
"""What is in the line of an event that tells how long was waited for others."""

TRIALS_READ: Final = 200
"""So many trials with their raw values are looked at, at a time."""


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
    """Counts what became of measuring windows, of trials that ended since it was made; reads each once.

    Attributes:
        kept: windows that count; dropped: those that do not, as the host disturbed them.
        measuring_s: how long trials were measured.
    """

    kept: int = 0
    dropped: int = 0
    measuring_s: float = 0.0
    _last: int = field(default=-1, init=False)

    def read(self, store: StudyStore) -> None:
        """Count what ended since the last call, as far as is looked at in one."""
        with store.reading() as connection:
            if self._last < 0:
                self._last = int(connection.scalar(select(func.max(trials.c.id))) or 0)
                return
            new = select(trials.c.id, trials.c.result).where(
                trials.c.id > self._last, trials.c.failure.is_(None)
            )
            for row in connection.execute(new.order_by(trials.c.id).limit(TRIALS_READ)):
                self._last = row.id
                self._count(row.result)

    def _count(self, result: Any) -> None:
        if isinstance(result, dict):
            self.kept += len(result.get("blocks") or ())
            self.dropped += len(result.get("dropped") or ())
            self.measuring_s += float(result.get("measuring_s") or 0.0)
