"""Plans by the columns that listings show, without reading a document."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from autotune.spec.configuration import Configuration
from autotune.store.store import StudyStore
from autotune.store.tables import plans, studies


@dataclass(frozen=True)
class PlanLine:
    """A plan as a list to choose from shows it."""

    id: str
    study: str
    objective: str
    configuration: Configuration
    score: float
    created_s: float


def plan_lines(store: StudyStore, count: int) -> tuple[PlanLine, ...]:
    """Give the newest plans of all studies, at most so many."""
    listed = select(
        plans.c.id, studies.c.name, plans.c.objective, plans.c.configuration, plans.c.score, plans.c.created_s
    ).join_from(plans, studies)
    with store.reading() as connection:
        rows = connection.execute(listed.order_by(plans.c.created_s.desc(), plans.c.id).limit(count)).all()
    return tuple(
        PlanLine(id, study, objective, Configuration.from_parameters(configuration), score, created_s)
        for id, study, objective, configuration, score, created_s in rows
    )
