"""Jobs over HTTP: ask for one, look at it, and say what is to become of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from autotune.documents.job import job_document, job_line, queue_document
from autotune.documents.standing import READ_EVENTS, standing_lines
from autotune.queue.stopping import end_early
from autotune.service.access import AccessRole, is_admin
from autotune.service.api import examples
from autotune.service.api.documented import documented
from autotune.service.api.event_stream import InFeeds
from autotune.service.api.shapes import (
    JobKindName,
    JobListShape,
    JobShape,
    JobStandingShape,
    JobStateName,
    QueueShape,
)
from autotune.service.asking import (
    MOST_PRIORITY,
    Asker,
    ask_compare,
    ask_tune,
    ask_verify,
    read_key,
    read_study_asked,
)
from autotune.service.context import Context, InContext
from autotune.service.deleting import forget_job
from autotune.store.job_records import JobRecord
from autotune.store.job_tables import KEY_LETTERS
from autotune.store.newest_events import newest_events

router = APIRouter(prefix="/api/v1", tags=["jobs"])

JobId = Annotated[str, Path(description="The job's id: hexadecimal digits. There is no job of any other.")]
Priority = Annotated[int, Field(ge=-MOST_PRIORITY, le=MOST_PRIORITY, description="A higher one comes first.")]
Reference = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9@._-]+$",
        description="A plan's id or how it begins, a study's name (its newest plan), or `latest`.",
    ),
]
Rounds = Annotated[
    int | None, Field(ge=3, le=1000, description="Rounds at most; fewer if it is clear before.")
]
Minutes = Annotated[
    float | None,
    Field(
        gt=0, le=10_080, allow_inf_nan=False, description="Begin no round later than this, after the third."
    ),
]


class JobBody(BaseModel):
    """What every request for a job may hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    priority: Priority = 0


class TuneBody(JobBody):
    """Find the fastest way to serve a study's model on this machine."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"kind": "tune", "study": examples.STUDY},
                {"kind": "tune", "study_yaml": examples.STUDY_YAML, "priority": 5},
            ]
        },
    )

    kind: Literal["tune"]
    study: Annotated[
        dict[str, Any] | None, Field(description="The study as JSON, with what a study file holds.")
    ] = None
    study_yaml: Annotated[str | None, Field(description="Or the text of a study file.")] = None
    name: Annotated[str, Field(max_length=64, description="Its name if it gives none.")] = ""


class VerifyBody(JobBody):
    """Run a plan again beside its baseline: does it hold what it states?"""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"kind": "verify", "plan": "quickstart-7f3a9c"}]},
    )

    kind: Literal["verify"]
    plan: Reference
    tolerance: Annotated[float, Field(ge=0, lt=1, description="How much less than stated still holds.")] = (
        0.05
    )
    rounds: Rounds = None
    minutes: Minutes = None
    webhook: Annotated[
        str,
        Field(max_length=2000, description="URL to tell if it does not hold; the operator allows its host."),
    ] = ""


class CompareBody(JobBody):
    """Run two plans side by side: which is faster, and how surely?"""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"kind": "compare", "a": "quickstart-7f3a9c", "b": "quickstart-1b2c3d"}]
        },
    )

    kind: Literal["compare"]
    a: Reference
    b: Reference
    rounds: Rounds = None
    minutes: Minutes = None


class JobChange(BaseModel):
    """What may be changed of a job that waits."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"priority": 10}]})

    priority: Priority


_ASKED = Annotated[TuneBody | VerifyBody | CompareBody, Body(discriminator="kind")]


@router.post(
    "/jobs",
    operation_id="submit_job",
    summary="Ask for a job",
    **documented(
        AccessRole.TUNE,
        examples.JOB,
        shape=JobShape,
        status=201,
        refused=(404, 409),
        also={200: "The key was used before, for the same request: the job that there is."},
    ),
)
def submit_job(
    request: Request,
    context: InContext,
    feeds: InFeeds,
    body: _ASKED,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="The same key asks for the same job, however often it is sent.",
            json_schema_extra={"minLength": 1, "maxLength": KEY_LETTERS},
        ),
    ] = None,
) -> Response:
    """Put a job at the end of its priority's line. It begins once nothing else measures on the machine."""
    asker = Asker(getattr(request.state, "token_name", ""), body.priority, read_key(idempotency_key))
    job, is_new = _ask(context, body, asker)
    if is_new:
        feeds.changed(job.id)
    where = {"Location": f"/api/v1/jobs/{job.id}"}
    return JSONResponse(job_document(job, whole=is_admin(request)), 201 if is_new else 200, headers=where)


def _ask(context: Context, body: TuneBody | VerifyBody | CompareBody, asker: Asker) -> tuple[JobRecord, bool]:
    if isinstance(body, VerifyBody):
        bounds = body.model_dump(include={"tolerance", "rounds", "minutes", "webhook"})
        return ask_verify(context, body.plan, asker, **bounds)
    if isinstance(body, CompareBody):
        return ask_compare(context, body.a, body.b, asker, rounds=body.rounds, minutes=body.minutes)
    return ask_tune(context, read_study_asked(body.study, body.study_yaml, name=body.name), asker)


@router.get(
    "/jobs",
    operation_id="list_jobs",
    summary="List jobs",
    **documented(AccessRole.READ, examples.JOBS, shape=JobListShape),
)
def list_jobs(
    context: InContext,
    state: Annotated[list[JobStateName] | None, Query(description="Only of these states.")] = None,
    study: Annotated[str, Query(max_length=64, description="Only of this study.")] = "",
    kind: Annotated[JobKindName | None, Query(description="Only of this kind.")] = None,
    plan: Annotated[str, Query(max_length=80, description="Only those that gave or verified it.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """List jobs, newest first."""
    found = context.queue.jobs(
        states=state or (), study=study, kind=kind or "", plan=plan, limit=limit + 1, offset=offset
    )
    more = offset + limit if len(found) > limit else None
    return JSONResponse({"jobs": [job_line(job) for job in found[:limit]], "next": more})


@router.get(
    "/queue",
    operation_id="show_queue",
    summary="Show the queue",
    **documented(AccessRole.READ, examples.QUEUE, shape=QueueShape),
)
def show_queue(context: InContext) -> Response:
    """Show what runs on this machine, and what waits in the order in which it will begin."""
    queue = context.queue
    running, waiting = queue.running(context.machine), queue.waiting(context.machine)
    return JSONResponse(queue_document(running, waiting, queue.counts()))


@router.get(
    "/jobs/{job_id}",
    operation_id="show_job",
    summary="Show a job",
    **documented(AccessRole.READ, examples.STANDING, shape=JobStandingShape, refused=(404,)),
)
def show_job(request: Request, context: InContext, job_id: JobId) -> Response:
    """Show a job with what was asked for, where it stands, and what came of it."""
    job = context.queue.job(job_id)
    told = newest_events(context.store, job.id, READ_EVENTS) if job.state == "running" else ()
    document = job_document(job, whole=is_admin(request))
    return JSONResponse({**document, "standing": standing_lines(told)})


@router.post(
    "/jobs/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Cancel a job",
    **documented(AccessRole.TUNE, examples.JOB, shape=JobShape, refused=(404,)),
)
def cancel_job(context: InContext, feeds: InFeeds, job_id: JobId) -> Response:
    """End a job early: one that runs keeps what was measured, and one that has ended stays as it is."""
    return _told(feeds, end_early(context.queue, job_id))


@router.post(
    "/jobs/{job_id}/resume",
    operation_id="resume_job",
    summary="Resume a job",
    **documented(AccessRole.TUNE, examples.JOB, shape=JobShape, refused=(404, 409)),
)
def resume_job(context: InContext, feeds: InFeeds, job_id: JobId) -> Response:
    """Let a job that was cancelled or failed wait again. Its study goes on with the trials that it has."""
    return _told(feeds, context.queue.resume(job_id))


@router.patch(
    "/jobs/{job_id}",
    operation_id="reorder_job",
    summary="Change a job's priority",
    **documented(AccessRole.TUNE, examples.JOB, shape=JobShape, refused=(404, 409)),
)
def reorder_job(context: InContext, feeds: InFeeds, job_id: JobId, body: JobChange) -> Response:
    """Give a job that waits another priority."""
    return _told(feeds, context.queue.reorder(job_id, body.priority))


@router.delete(
    "/jobs/{job_id}",
    operation_id="delete_job",
    summary="Delete a job",
    **documented(AccessRole.ADMIN, status=204, refused=(404, 409)),
)
def delete_job(context: InContext, feeds: InFeeds, job_id: JobId) -> Response:
    """Forget a job, its events and its log. Its study, trials and plans stay."""
    forget_job(context, job_id)
    feeds.changed(job_id)
    return Response(status_code=204)


def _told(feeds: InFeeds, job: JobRecord) -> Response:
    feeds.changed(job.id)
    return JSONResponse(job_document(job))
