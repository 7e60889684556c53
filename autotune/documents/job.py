"""Jobs as documents, and what is told of them on a stream of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from autotune.store.job_records import JobRecord

SCHEMA: Final = "autotune.job/1"
QUEUE_SCHEMA: Final = "autotune.queue/1"


def job_document(job: JobRecord) -> dict[str, Any]:
    """Write a job as one JSON document, with what was asked for and what came of it."""
    return {
        **job_line(job),
        "request": dict(job.request.values),
        "result": None if job.result is None else dict(job.result),
    }


def job_line(job: JobRecord) -> dict[str, Any]:
    """Write a job as a listing has it: without its request's values and its result."""
    return {
        "schema": SCHEMA,
        "id": job.id,
        "kind": job.request.kind,
        "study": job.request.study,
        "machine": job.request.machine,
        "priority": job.request.priority,
        "state": job.state,
        "stop_asked": job.stop_asked,
        "attempts": job.attempts,
        "asked_by": job.request.asked_by,
        "asked_s": job.asked_s,
        "started_s": job.started_s,
        "ended_s": job.ended_s,
        "plan": job.plan or None,
        "fault": None if job.fault is None else asdict(job.fault),
    }


def queue_document(running: JobRecord | None, waiting: Sequence[JobRecord], counts: Any) -> dict[str, Any]:
    """Write a machine's queue as one JSON document: what runs, and what waits in its order.

    Args:
        running: the job that runs; None while none does.
        waiting: in the order in which they will be begun.
        counts: of all jobs, by state.
    """
    return {
        "schema": QUEUE_SCHEMA,
        "running": None if running is None else job_line(running),
        "waiting": [job_line(job) for job in waiting],
        "counts": {**dict.fromkeys(("queued", "running", "done", "failed", "cancelled"), 0), **counts},
    }
