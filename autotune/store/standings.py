"""What the newest verification of each plan has shown: a plan that got worse is marked by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select

from autotune.store.job_tables import jobs
from autotune.store.schedule_records import PlanStanding
from autotune.store.store import StudyStore

UNDECIDED = "undecided"
"""The verdict of a verification that could not tell: what an earlier one has shown stays."""

_MOST = 500
"""So many ids go into one statement."""


def standing(store: StudyStore, plan: str) -> PlanStanding | None:
    """Give what the newest verification of a plan that could tell has shown; None where there is none."""
    return standings(store, [plan]).get(plan)


def standings(store: StudyStore, plans: Collection[str] | None = None) -> Mapping[str, PlanStanding]:
    """Give the standing of each of these plans, or of all, by id; those without one are left out."""
    found: dict[str, PlanStanding] = {}
    verdict = jobs.c.result["verdict"].as_string()
    listed = (
        select(jobs.c.plan, verdict.label("verdict"), jobs.c.id, jobs.c.ended_s)
        .where(jobs.c.kind == "verify", jobs.c.state == "done", verdict != UNDECIDED)
        .order_by(jobs.c.ended_s)
    )
    asked = None if plans is None else list(plans)
    parts = [None] if asked is None else [asked[at : at + _MOST] for at in range(0, len(asked), _MOST)]
    with store.reading() as connection:
        for part in parts:
            rows = connection.execute(listed if part is None else listed.where(jobs.c.plan.in_(part)))
            found |= {row.plan: PlanStanding(row.plan, row.verdict, row.id, row.ended_s) for row in rows}
    return found
