"""Jobs as documents, and what is told of them on a stream of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from autotune.documents.remote_words import remote_words
from autotune.documents.webhook import hidden_webhook
from autotune.store.job_records import JobFault, JobRecord

SCHEMA: Final = "autotune.job/1"
QUEUE_SCHEMA: Final = "autotune.queue/1"


def job_document(job: JobRecord, *, whole: bool = False) -> dict[str, Any]:
    """Write a job as one JSON document, with what was asked for and what came of it.

    Args:
        whole: with all of a webhook, whose path and query may be a secret; else its host alone.
    """
    request = dict(job.request.values)
    if request.get("webhook") and not whole:
        request["webhook"] = hidden_webhook(str(request["webhook"]))
    return {
        **job_line(job),
        "request": request,
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
        "fault": None if job.fault is None else _fault(job.fault),
    }


def _fault(fault: JobFault) -> dict[str, str]:
    """Say why a job failed, to who has asked for it over HTTP."""
    told = remote_words(fault.problem, "api"), remote_words(fault.remedy, "api")
    return {"kind": fault.kind, "problem": told[0], "remedy": told[1]}


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
