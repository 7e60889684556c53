"""Schedules over HTTP: whose newest plan is verified every so often, or when something changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from autotune.documents.schedule import schedule_document
from autotune.service.access import AccessRole, is_admin
from autotune.service.api import example_documents as documents
from autotune.service.api.documented import documented
from autotune.service.api.jobs import Minutes, Priority
from autotune.service.api.shapes import ScheduleListShape, ScheduleShape
from autotune.service.asking import check_webhook
from autotune.service.context import InContext
from autotune.store.schedule_records import ScheduleRecord
from autotune.store.schedule_tables import NAME_LETTERS
from autotune.store.schedules import ScheduleBook
from autotune.store.trial_pages import study_found

router = APIRouter(prefix="/api/v1", tags=["schedules"])

ScheduleName = Annotated[
    str,
    Path(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_LETTERS - 1}}}$", description="The schedule's name."),
]

LEAST_S = 60.0
"""Between two verifications: each of them takes longer."""


class ScheduleBody(BaseModel):
    """What is to be verified, and when."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"study": "quickstart", "every_s": 86400, "on_change": True}]},
    )

    study: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$", description="Whose newest plan is verified."),
    ]
    every_s: Annotated[
        float | None,
        Field(ge=LEAST_S, le=366 * 86_400, allow_inf_nan=False, description="Seconds between two of them."),
    ] = None
    on_change: Annotated[
        bool, Field(description="Also when the machine or an installed version is another one.")
    ] = False
    tolerance: Annotated[float, Field(ge=0, lt=1, description="How much less than stated still holds.")] = (
        0.05
    )
    minutes: Minutes = None
    webhook: Annotated[
        str,
        Field(max_length=2000, description="URL to tell if it does not hold; the operator allows its host."),
    ] = ""
    priority: Priority = -10


@router.get(
    "/schedules",
    operation_id="list_schedules",
    summary="List schedules",
    **documented(AccessRole.READ, documents.SCHEDULES, shape=ScheduleListShape),
)
def list_schedules(request: Request, context: InContext) -> Response:
    """List the schedules by name."""
    listed = ScheduleBook(context.store).schedules()
    return JSONResponse(
        {"schedules": [schedule_document(schedule, whole=is_admin(request)) for schedule in listed]}
    )


@router.get(
    "/schedules/{name}",
    operation_id="show_schedule",
    summary="Show a schedule",
    **documented(AccessRole.READ, documents.SCHEDULE, shape=ScheduleShape, refused=(404,)),
)
def show_schedule(request: Request, context: InContext, name: ScheduleName) -> Response:
    """Show a schedule, and when its next job is asked for."""
    schedule = ScheduleBook(context.store).schedule(name)
    return JSONResponse(schedule_document(schedule, whole=is_admin(request)))


@router.put(
    "/schedules/{name}",
    operation_id="put_schedule",
    summary="Make or change a schedule",
    **documented(
        AccessRole.TUNE,
        documents.SCHEDULE,
        shape=ScheduleShape,
        refused=(404, 409),
        also={201: "There was none of this name."},
    ),
)
def put_schedule(request: Request, context: InContext, name: ScheduleName, body: ScheduleBody) -> Response:
    """Have a study's newest plan verified every so often, first one interval from now."""
    study_found(context.store, body.study)
    check_webhook(context, body.webhook)
    asked_by = getattr(request.state, "token_name", "")
    schedule = ScheduleRecord(name, machine=context.machine, asked_by=asked_by, **body.model_dump())
    kept, is_new = ScheduleBook(context.store).put(schedule)
    return JSONResponse(schedule_document(kept, whole=is_admin(request)), 201 if is_new else 200)


@router.delete(
    "/schedules/{name}",
    operation_id="delete_schedule",
    summary="Delete a schedule",
    **documented(AccessRole.TUNE, status=204, refused=(404,)),
)
def delete_schedule(context: InContext, name: ScheduleName) -> Response:
    """Forget a schedule. Jobs that it has asked for stay."""
    ScheduleBook(context.store).delete(name)
    return Response(status_code=204)
