"""Trials as pages and metrics show them: some at a time, counted by state, and the best of every study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select

from autotune.errors import NotStoredError
from autotune.model.stored_study import read_stored_study
from autotune.objectives.catalogue import objective_of
from autotune.spec.study import StudySpec
from autotune.store.lookup import nearest
from autotune.store.ranking import best, gain, measured_baseline
from autotune.store.records import StudyRecord, TrialSummary
from autotune.store.rows import trial_summary
from autotune.store.store import StudyStore
from autotune.store.tables import studies, trials

MEASURED = "measured"
"""The state of a trial that did not fail; of one that did it is the kind of its failure."""


@dataclass(frozen=True)
class BestTrial:
    """The best trial of a study that meets its limits.

    Attributes:
        objective: its name.
        score: in the objective's unit.
        gain: over the baseline; None where there is none.
    """

    study: str
    objective: str
    number: int
    score: float
    gain: float | None


@dataclass(frozen=True)
class _ScoredTrial:
    """What ranks a trial; see `autotune.store.ranking.Scored`."""

    number: int
    baseline: bool
    score: float | None
    violations: Mapping[str, float]


def trials_of(
    store: StudyStore, study: str, *, after: int = -1, limit: int = 1000
) -> tuple[tuple[TrialSummary, ...], Mapping[int, str]]:
    """Give trials of a study that come after a number, without raw values; and why those failed that did.

    Raises:
        NotStoredError: the study is unknown.
    """
    columns = [column for column in trials.c if column.name not in ("result", "host")]
    with store.reading() as connection:
        study_id = connection.scalar(select(studies.c.id).where(studies.c.name == study))
        if study_id is None:
            raise _no_study(store, study, connection.scalars(select(studies.c.name)).all())
        mine = select(*columns).where(trials.c.study_id == study_id, trials.c.number > after)
        rows = connection.execute(mine.order_by(trials.c.number).limit(limit)).all()
        found = tuple(trial_summary(row, study) for row in rows)
        failed = [trial.number for trial in found if trial.failure is not None]
        why = select(trials.c.number, trials.c.result).where(
            trials.c.study_id == study_id, trials.c.number.in_(failed)
        )
        reasons = connection.execute(why).all() if failed else []
    return found, {row.number: _reason(row.result) for row in reasons}


def study_found(store: StudyStore, study: str) -> StudyRecord:
    """Give a study.

    Raises:
        NotStoredError: there is none of this name; names the near ones.
    """
    record = store.find_study(study)
    if record is None:
        raise _no_study(store, study, store.studies())
    return record


def _no_study(store: StudyStore, study: str, known: Sequence[str]) -> NotStoredError:
    return NotStoredError(
        f"the store {store.location} holds no study {study!r}", remedy=nearest(study, known)
    )


def count_trials(store: StudyStore) -> Mapping[tuple[str, str], int]:
    """Count trials by study and state."""
    counted = select(studies.c.name, trials.c.failure, func.count()).join_from(trials, studies)
    with store.reading() as connection:
        rows = connection.execute(counted.group_by(studies.c.name, trials.c.failure))
        return {(name, failure or MEASURED): count for name, failure, count in rows}


def best_trials(store: StudyStore, study: str = "") -> tuple[BestTrial, ...]:
    """Give the best trial of every study that has one, or of the one that is named, by the studies' age.

    A study that cannot be read any more has none.
    """
    listed = select(
        trials.c.study_id, trials.c.number, trials.c.baseline, trials.c.score, trials.c.violations
    ).where(trials.c.score.is_not(None))
    of_scored = select(studies.c.id, studies.c.name, studies.c.spec).order_by(studies.c.id)
    if study:
        listed = listed.join(studies).where(studies.c.name == study)
        of_scored = of_scored.where(studies.c.name == study)
    scored: dict[int, list[_ScoredTrial]] = defaultdict(list)
    with store.reading() as connection:
        for study_id, number, baseline, score, violations in connection.execute(listed):
            scored[study_id].append(_ScoredTrial(number, bool(baseline), score, violations))
        rows = connection.execute(of_scored).all()
    found = (_best(row.name, _spec(row.spec), scored[row.id]) for row in rows if row.id in scored)
    return tuple(leading for leading in found if leading is not None)


def _best(study: str, spec: StudySpec | None, scored: list[_ScoredTrial]) -> BestTrial | None:
    leading = None if spec is None else best(scored, spec)
    if spec is None or leading is None or leading.score is None:
        return None
    gained = gain(leading, measured_baseline(scored), spec)
    return BestTrial(study, objective_of(spec).name, leading.number, leading.score, gained)


def _spec(document: Any) -> StudySpec | None:
    """Read a stored study; None where it cannot be read any more."""
    try:
        return read_stored_study(document)
    except ValidationError:
        return None


def _reason(result: Any) -> str:
    """Why a trial failed, in a sentence."""
    return str(result.get("reason", "")) if isinstance(result, dict) else ""
