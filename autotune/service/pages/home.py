"""The first page: what runs, what waits in its order, and every study."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request, Response

from autotune.objectives.catalogue import objective_named
from autotune.service.access import MayRead
from autotune.service.context import Context, InContext
from autotune.service.pages.job_words import (
    KINDS,
    STATES,
    JobStanding,
    job_standing,
    outcome_words,
    whole_jobs,
)
from autotune.service.pages.paging import Paging
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router
from autotune.store.job_records import ENDED, JobRecord
from autotune.store.overview import StudySummary, count_studies, study_summaries
from autotune.store.standings import standings

router = page_router()

STUDIES: Final = 25
WAITING: Final = 25
LATELY: Final = 8


@router.get("/")
def home(request: Request, context: InContext, _: MayRead, page: int = 1, queue: int = 1) -> Response:
    """Show studies and queue."""
    return render(request, "home.html", **_shown(context, page, queue))


@router.get("/parts/queue")
def queue_part(request: Request, context: InContext, _: MayRead, queue: int = 1) -> Response:
    """Give the part of the first page that changes while it is open."""
    return render(request, "parts/queue.html", **_queue(context, queue))


def _shown(context: Context, page: int, queue: int) -> dict[str, Any]:
    paging = Paging(count_studies(context.store), STUDIES, page, "page")
    listed = study_summaries(context.store, limit=STUDIES, offset=paging.offset)
    shown = standings(context.store, [study.newest_plan for study in listed if study.newest_plan])
    return {
        "worse": {plan for plan, found in shown.items() if found.is_worse},
        "studies": [(study, score_words(study)) for study in listed],
        "paging": paging,
        **_queue(context, queue),
    }


def _queue(context: Context, page: int) -> dict[str, Any]:
    running = context.queue.running(context.machine)
    waiting = context.queue.waiting(context.machine)
    paging = Paging(len(waiting), WAITING, page, "queue")
    lately = context.queue.jobs(states=ENDED, limit=LATELY)
    return {
        "running": running,
        "standing": _standing(context, running),
        "waiting": list(enumerate(waiting, start=1))[paging.offset : paging.offset + WAITING],
        "queue_paging": paging,
        "lately": [(job, outcome_words(job)) for job in whole_jobs(context, lately)],
        "kinds": KINDS,
        "states": STATES,
    }


def _standing(context: Context, running: JobRecord | None) -> JobStanding | None:
    return None if running is None else job_standing(context, running)


def score_words(study: StudySummary) -> str:
    """Write the score of a study's newest plan in its unit; empty without one."""
    if study.score is None or not study.plan_objective:
        return ""
    return objective_named(study.plan_objective).told(study.score)
