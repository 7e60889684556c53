"""Streams of events over HTTP: of one job, and of the queue."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Response

from autotune.service.access import AccessRole
from autotune.service.api import examples
from autotune.service.api.documented import documented
from autotune.service.api.event_stream import (
    MEDIA_TYPE,
    EventStream,
    InFeeds,
    LastEventId,
    read_identity,
)
from autotune.service.api.jobs import JobId
from autotune.service.context import InContext

router = APIRouter(prefix="/api/v1", tags=["events"])


@router.get(
    "/jobs/{job_id}/events",
    operation_id="follow_job",
    summary="Follow a job",
    **documented(
        AccessRole.READ,
        examples.EVENTS,
        media=MEDIA_TYPE,
        refused=(404,),
        also={204: "The client has the job's end already."},
    ),
)
async def follow_job(
    context: InContext,
    feeds: InFeeds,
    job_id: JobId,
    last_event_id: LastEventId = "",
    after: Annotated[
        int,
        Query(
            ge=0, le=999_999_999, description="Without `Last-Event-ID`: the number of the last that you have."
        ),
    ] = 0,
) -> Response:
    """Stream a job's events from the first on, or from the one after `Last-Event-ID`.

    Each event has its number as `id`, its name as `event`, and one line of JSON as `data`. The stream ends
    with `event: job`, whose data is the job's document, once the job has ended.
    """
    number, has_end = read_identity(last_event_id)
    job = await to_thread.run_sync(context.queue.job, job_id)
    if has_end and job.is_ended:
        return Response(status_code=204)
    hearer = feeds.admit(number or after)
    return EventStream(feeds, hearer, feeds.job(job_id, hearer))


@router.get(
    "/events",
    operation_id="follow_queue",
    summary="Follow the queue",
    **documented(AccessRole.READ, examples.QUEUE_EVENTS, media=MEDIA_TYPE),
)
async def follow_queue(feeds: InFeeds) -> Response:
    """Stream the queue: `event: queue` is how it is now, then `event: job` is each job that changes."""
    hearer = feeds.admit()
    return EventStream(feeds, hearer, feeds.queue(hearer))
