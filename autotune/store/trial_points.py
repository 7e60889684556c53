"""Trials as charts show them, all of a study at once; and chosen ones whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from autotune.errors import NotStoredError
from autotune.store.lookup import nearest
from autotune.store.records import TrialRecord
from autotune.store.rows import trial_record
from autotune.store.store import StudyStore
from autotune.store.tables import studies, trials


@dataclass(frozen=True)
class TrialPoint:
    """What a chart needs of a trial, and what ranks it.

    Attributes:
        failure: a `FailureKind`'s value; None for a measurement.
        score: in the objective's unit; None for a failure.
        violations: by limit, how far it is exceeded; at most 0 where it is met.
    """

    number: int
    baseline: bool
    failure: str | None
    score: float | None
    violations: Mapping[str, float]

    @property
    def is_feasible(self) -> bool:
        """Whether it was measured and meets every limit."""
        return self.score is not None and all(by <= 0 for by in self.violations.values())


def trial_points(store: StudyStore, study: str) -> tuple[TrialPoint, ...]:
    """Give every trial of a study as a point, by number; reads neither raw values nor configurations.

    Raises:
        NotStoredError: the study is unknown.
    """
    columns = (trials.c.number, trials.c.baseline, trials.c.failure, trials.c.score, trials.c.violations)
    with store.reading() as connection:
        mine = trials.c.study_id == _study_id(connection, store, study)
        rows = connection.execute(select(*columns).where(mine).order_by(trials.c.number))
        return tuple(
            TrialPoint(number, bool(baseline), failure, score, violations)
            for number, baseline, failure, score, violations in rows
        )


def chosen_trials(store: StudyStore, study: str, numbers: Iterable[int]) -> tuple[TrialRecord, ...]:
    """Give trials of a study with their raw values, in the order of these numbers; those that there are.

    Raises:
        NotStoredError: the study is unknown.
        StoreError: a stored result is damaged.
    """
    wanted = list(dict.fromkeys(numbers))
    with store.reading() as connection:
        mine = trials.c.study_id == _study_id(connection, store, study)
        rows = connection.execute(select(trials).where(mine, trials.c.number.in_(wanted))).all()
    found = {row.number: trial_record(row, study) for row in rows}
    return tuple(found[number] for number in wanted if number in found)


def _study_id(connection: Connection, store: StudyStore, name: str) -> int:
    found = connection.scalar(select(studies.c.id).where(studies.c.name == name))
    if found is None:
        names = connection.scalars(select(studies.c.name)).all()
        raise NotStoredError(
            f"the store {store.location} holds no study {name!r}", remedy=nearest(name, names)
        )
    return int(found)
