"""One job: where it stands while it runs, and what came of it."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from autotune.errors import RequestError
from autotune.queue.stopping import end_early
from autotune.service.access import MayAdminister, MayRead, MayTune
from autotune.service.api.event_stream import InFeeds
from autotune.service.asking import MOST_PRIORITY
from autotune.service.context import Context, InContext
from autotune.service.deleting import forget_job
from autotune.service.feeds import Feeds
from autotune.service.pages.forms import InForm
from autotune.service.pages.job_words import (
    KINDS,
    STATES,
    comparison_sides,
    job_standing,
    outcome_words,
)
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router, see
from autotune.service.pages.search_view import ORDERS, SearchView, TrialOrder, search_view, stored_spec
from autotune.store.job_records import JobRecord

router = page_router()


@router.get("/jobs/{job_id}")
def job(
    request: Request,
    context: InContext,
    _: MayRead,
    job_id: str,
    trials: int = 1,
    order: TrialOrder = "newest",
) -> Response:
    """Show a job."""
    return render(request, "job.html", **_shown(context, job_id, trials, order))


@router.get("/jobs/{job_id}/part")
def job_part(
    request: Request,
    context: InContext,
    _: MayRead,
    job_id: str,
    trials: int = 1,
    order: TrialOrder = "newest",
) -> Response:
    """Give the part of a job's page that changes while it runs."""
    return render(request, "parts/job.html", **_shown(context, job_id, trials, order))


@router.post("/jobs/{job_id}/cancel")
def cancel(context: InContext, feeds: InFeeds, _: MayTune, job_id: str, form: InForm) -> Response:
    """Cancel a job, and go back."""
    return _told(feeds, end_early(context.queue, job_id), form)


@router.post("/jobs/{job_id}/resume")
def resume(context: InContext, feeds: InFeeds, _: MayTune, job_id: str, form: InForm) -> Response:
    """Let a job wait again, and go back."""
    return _told(feeds, context.queue.resume(job_id), form)


@router.post("/jobs/{job_id}/priority")
def reorder(
    request: Request, context: InContext, feeds: InFeeds, _: MayTune, job_id: str, form: InForm
) -> Response:
    """Give a job another priority, and go back; or show the job with what is wrong with the priority."""
    typed = form.get("priority", "")
    try:
        priority = read_priority(typed)
    except RequestError as error:
        shown = _shown(context, job_id, 1, "newest") | {"refusal": error, "typed": typed}
        return render(request, "job.html", status=422, **shown)
    return _told(feeds, context.queue.reorder(job_id, priority), form)


@router.get("/jobs/{job_id}/{action}")
def go_back(_: MayRead, job_id: str, action: str) -> Response:
    """Show the job to who loads an address again that is for forms."""
    if action not in ("cancel", "resume", "priority", "delete"):
        raise HTTPException(404)
    return see(f"/jobs/{job_id}")


@router.post("/jobs/{job_id}/delete")
def delete(context: InContext, feeds: InFeeds, _: MayAdminister, job_id: str) -> Response:
    """Forget a job, and show the others."""
    forget_job(context, job_id)
    feeds.changed(job_id)
    return see("/")


def _told(feeds: Feeds, changed: JobRecord, form: InForm) -> Response:
    feeds.changed(changed.id)
    return see("/" if form.get("back") == "/" else f"/jobs/{changed.id}")


def read_priority(text: str) -> int:
    """Read a priority.

    Raises:
        RequestError: it is none.
    """
    try:
        priority = int(text)
    except ValueError:
        priority = MOST_PRIORITY + 1
    if abs(priority) > MOST_PRIORITY:
        raise RequestError(
            f"{text[:40]!r} is no priority",
            path="priority",
            remedy=f"write a whole number from -{MOST_PRIORITY} to {MOST_PRIORITY}",
        )
    return priority


def _shown(context: Context, job_id: str, page: int, order: TrialOrder) -> dict[str, Any]:
    found = context.queue.job(job_id)
    where = job_standing(context, found)
    return {
        "job": found,
        "kinds": KINDS,
        "states": STATES,
        "standing": where,
        "search": _search(context, found, page, order),
        "orders": ORDERS,
        "outcome": outcome_words(found),
        "ahead": _ahead(context, found),
        "sides": comparison_sides(found),
        "refusal": None,
    }


def _search(context: Context, found: JobRecord, page: int, order: TrialOrder) -> SearchView | None:
    """Read the study's trials; None of a job that measures none of its own, and before there are any."""
    record = context.store.find_study(found.request.study) if found.request.kind == "tune" else None
    return None if record is None else search_view(context.store, stored_spec(record), page=page, order=order)


def _ahead(context: Context, found: JobRecord) -> int:
    """Count the jobs that come before one that waits."""
    if found.state != "queued":
        return 0
    waiting = [job.id for job in context.queue.waiting(found.request.machine)]
    return waiting.index(found.id) if found.id in waiting else len(waiting)
