"""One study: what was asked, its plans, its search and its jobs."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request, Response

from autotune.errors import NotStoredError
from autotune.objectives.catalogue import objective_named, objective_of
from autotune.objectives.limits import limit_words
from autotune.service.access import MayAdminister, MayRead
from autotune.service.context import Context, InContext
from autotune.service.deleting import forget_study
from autotune.service.pages.job_words import KINDS, STATES, outcome_words
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router, see
from autotune.service.pages.search_view import ORDERS, TrialOrder, search_view, stored_spec
from autotune.spec.problem import problem_in_words
from autotune.spec.study import StudySpec
from autotune.store.records import PlanSummary, StudyRecord
from autotune.units import format_count

router = page_router()

JOBS = 10


@router.get("/studies/{name}")
def study(
    request: Request, context: InContext, _: MayRead, name: str, trials: int = 1, order: TrialOrder = "newest"
) -> Response:
    """Show a study."""
    return render(request, "study.html", **_shown(context, name, trials, order))


@router.post("/studies/{name}/delete")
def delete(context: InContext, _: MayAdminister, name: str) -> Response:
    """Forget a study with its trials and plans, and show the others."""
    forget_study(context, name)
    return see("/")


def _shown(context: Context, name: str, page: int, order: TrialOrder) -> dict[str, Any]:
    record = context.store.find_study(name)
    if record is None:
        raise NotStoredError(f"there is no study {name!r}", remedy="the first page lists all that there are")
    spec = stored_spec(record)
    jobs = context.queue.jobs(study=name, limit=JOBS)
    return {
        "study": record,
        "facts": study_facts(spec, record),
        "plans": [(plan, *_plan_words(plan)) for plan in context.store.plans(name)],
        "search": search_view(context.store, spec, page=page, order=order),
        "orders": ORDERS,
        "jobs": [(job, outcome_words(job)) for job in jobs],
        "kinds": KINDS,
        "states": STATES,
        "values": json.dumps(record.spec, indent=2, ensure_ascii=False, default=str),
    }


def study_facts(spec: StudySpec, record: StudyRecord) -> list[tuple[str, str]]:
    """Say what was asked: names and texts."""
    machine = record.machine
    limited = (("latency", spec.limits.latency), ("memory", spec.limits.memory_bytes))
    limits = [
        limit_words(spec.limits, name).removeprefix("the limit of ") for name, value in limited if value
    ]
    return [
        ("model", ", ".join(spec.models)),
        ("problem", f"{problem_in_words(spec.problem)}, {spec.scenario}"),
        ("objective", objective_of(spec).title),
        *([("limits", "; ".join(limits))] if limits else []),
        ("budget", _budget_words(spec)),
        (
            "machine",
            f"{machine.get('model_name') or 'unknown'}, cpus {machine.get('allowed', 'unknown')}",
        ),
    ]


def _budget_words(spec: StudySpec) -> str:
    trials, minutes = spec.budget.trials, spec.budget.minutes
    told = [
        *([] if trials is None else [format_count(trials, "trial")]),
        *([] if minutes is None else [format_count(minutes, "minute")]),
    ]
    return " or ".join(told) + ", whichever comes first" if len(told) == 2 else "".join(told) or "unlimited"


def _plan_words(plan: PlanSummary) -> tuple[str, str]:
    score = objective_named(plan.objective).told(plan.score)
    return score, "" if plan.gain is None else f"{plan.gain:.2f}x"
