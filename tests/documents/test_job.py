"""The documents of jobs and of a machine's queue."""

from __future__ import annotations

import json
from dataclasses import replace

from autotune.documents.job import job_document, job_line, queue_document
from autotune.store.job_records import JobFault, JobHolder, JobRecord, JobRequest

WAITING = JobRecord(
    id="9f2c4b6d8e0a1c3e",
    request=JobRequest("tune", "quickstart", "server-1", {"format": 1}, priority=5, asked_by="pipeline"),
    state="queued",
    asked_s=1_790_000_000.0,
)
FAILED = replace(
    WAITING,
    state="failed",
    started_s=1_790_000_001.0,
    ended_s=1_790_000_002.0,
    attempts=1,
    holder=JobHolder("server-1", "boot", 1, 1),
    fault=JobFault("ModelError", "it is gone", "bring it back"),
)


def test_a_job_is_written_without_who_runs_it() -> None:
    document = job_document(FAILED)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["fault"] == {"kind": "ModelError", "problem": "it is gone", "remedy": "bring it back"}
    assert (document["request"], document["result"], document["plan"]) == ({"format": 1}, None, None)
    assert "boot" not in json.dumps(document)
    assert document["asked_by"] == "pipeline"


def test_a_line_of_a_listing_has_neither_request_nor_result() -> None:
    assert job_document(WAITING).keys() - job_line(WAITING).keys() == {"request", "result"}


def test_a_queue_counts_every_state_and_keeps_its_order() -> None:
    second = replace(WAITING, id="b")
    document = queue_document(
        replace(FAILED, state="running"), [WAITING, second], {"queued": 2, "running": 1}
    )
    assert document["running"]["state"] == "running"
    assert [job["id"] for job in document["waiting"]] == [WAITING.id, "b"]
    assert document["counts"] == {"queued": 2, "running": 1, "done": 0, "failed": 0, "cancelled": 0}
