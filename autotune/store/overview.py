"""What a list of studies shows: counts and the newest plan of each, read without any raw value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from autotune.store.store import StudyStore
from autotune.store.tables import plans, studies, trials


@dataclass(frozen=True)
class StudySummary:
    """One line of a list of studies.

    Attributes:
        created_s: Unix time.
        objective: the kind of objective, such as `throughput`.
        trials: how many have ended; failed: how many of them failed.
        last_s: when the last trial ended, in Unix time; None without trials.
        plans: how many there are.
        newest_plan: id of the newest; empty without one.
        score: the newest plan's, in the unit of its objective; plan_objective: the name of that.
        gain: of the newest plan over the baseline.
    """

    name: str
    created_s: float
    model_source: str
    objective: str
    trials: int = 0
    failed: int = 0
    last_s: float | None = None
    plans: int = 0
    newest_plan: str = ""
    score: float | None = None
    plan_objective: str = ""
    gain: float | None = None


def study_summaries(store: StudyStore, *, limit: int = 100, offset: int = 0) -> tuple[StudySummary, ...]:
    """List studies, newest first, each with counts of its trials and plans and its newest plan."""
    listed = select(
        studies.c.id, studies.c.name, studies.c.created_s, studies.c.model_source, studies.c.spec
    ).order_by(studies.c.created_s.desc(), studies.c.id.desc())
    with store.reading() as connection:
        rows = connection.execute(listed.limit(limit).offset(offset)).all()
        ids = [row.id for row in rows]
        counted, planned = _counts(connection, ids), _plan_counts(connection, ids)
        newest = _newest_plans(connection, ids)
    return tuple(
        StudySummary(
            name=row.name,
            created_s=row.created_s,
            model_source=row.model_source,
            objective=_objective(row.spec),
            plans=planned.get(row.id, 0),
            **counted.get(row.id, {}),
            **newest.get(row.id, {}),
        )
        for row in rows
    )


def count_studies(store: StudyStore) -> int:
    """Count the studies of a store."""
    with store.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(studies)) or 0)


def _counts(connection: Connection, ids: Sequence[int]) -> Mapping[int, dict[str, Any]]:
    counted = (
        select(
            trials.c.study_id,
            func.count().label("trials"),
            func.count(trials.c.failure).label("failed"),
            func.max(trials.c.ended_s).label("last_s"),
        )
        .where(trials.c.study_id.in_(ids))
        .group_by(trials.c.study_id)
    )
    return {row.study_id: _without_id(row) for row in connection.execute(counted)}


def _plan_counts(connection: Connection, ids: Sequence[int]) -> Mapping[int, int]:
    counted = select(plans.c.study_id, func.count()).where(plans.c.study_id.in_(ids))
    return {row[0]: row[1] for row in connection.execute(counted.group_by(plans.c.study_id))}


def _newest_plans(connection: Connection, ids: Sequence[int]) -> Mapping[int, dict[str, Any]]:
    """Give each study's newest plan, without its document."""
    place = func.row_number().over(
        partition_by=plans.c.study_id, order_by=(plans.c.created_s.desc(), plans.c.id)
    )
    ordered = (
        select(
            plans.c.study_id,
            plans.c.id.label("newest_plan"),
            plans.c.score,
            plans.c.objective.label("plan_objective"),
            plans.c.gain,
            place.label("place"),
        )
        .where(plans.c.study_id.in_(ids))
        .subquery()
    )
    newest = select(
        ordered.c.study_id,
        ordered.c.newest_plan,
        ordered.c.score,
        ordered.c.plan_objective,
        ordered.c.gain,
    ).where(ordered.c.place == 1)
    return {row.study_id: _without_id(row) for row in connection.execute(newest)}


def _without_id(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name != "study_id"}


def _objective(spec: object) -> str:
    """Give the kind of objective of a stored study; of a damaged one, none."""
    objective = spec.get("objective") if isinstance(spec, dict) else None
    return str(objective.get("kind", "")) if isinstance(objective, dict) else ""
