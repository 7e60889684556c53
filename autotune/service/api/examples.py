"""Examples of the API's answers and bodies; a test holds them to their schemas."""

from __future__ import annotations

from typing import Any, Final

from autotune.service.api import example_documents as documents

Example = dict[str, Any]

STUDY: Final[Example] = {
    "name": "quickstart",
    "model": "random:minilm-l6",
    "problem": {"batch_size": 1, "sequence_length": 128},
    "budget": {"minutes": 5},
}

STUDY_YAML: Final = (
    "name: quickstart\nmodel: random:minilm-l6\nproblem: {batch_size: 1, sequence_length: 128}\n"
    "budget: {minutes: 5}\n"
)

JOB_LINE: Final[Example] = {
    "schema": "autotune.job/1",
    "id": "9f2c4b6d8e0a1c3e",
    "kind": "tune",
    "study": "quickstart",
    "machine": "server-1",
    "priority": 0,
    "state": "queued",
    "stop_asked": False,
    "attempts": 0,
    "asked_by": "pipeline",
    "asked_s": 1790000000.0,
    "started_s": None,
    "ended_s": None,
    "plan": None,
    "fault": None,
}

JOB: Final[Example] = {
    **JOB_LINE,
    "request": {"format": 1, "study": STUDY, "offline": True},
    "result": None,
}

STANDING: Final[Example] = {
    **JOB,
    "state": "running",
    "attempts": 1,
    "started_s": 1790000003.0,
    "standing": ["[1/9] baseline: 2 x 4 threads: 98.1 samples/s; best 98.1 samples/s"],
}

JOBS: Final[Example] = {"jobs": [JOB_LINE], "next": None}

QUEUE: Final[Example] = {
    "schema": "autotune.queue/1",
    "running": {**JOB_LINE, "state": "running", "attempts": 1, "started_s": 1790000003.0},
    "waiting": [],
    "counts": {"queued": 0, "running": 1, "done": 4, "failed": 0, "cancelled": 1},
}

EVENTS: Final = (
    "id: 1\nevent: waiting_ended\n"
    'data: {"schema":"autotune.event/1","event":"waiting_ended","seconds":2.5}\n\n'
    'id: 2.end\nevent: job\ndata: {"schema":"autotune.job/1","id":"9f2c4b6d8e0a1c3e","state":"done"}\n\n'
)

QUEUE_EVENTS: Final = (
    'event: queue\ndata: {"schema":"autotune.queue/1","running":null,"waiting":[]}\n\n'
    'event: job\ndata: {"schema":"autotune.job/1","id":"9f2c4b6d8e0a1c3e","state":"running"}\n\n'
)

VALIDATION: Final[Example] = {
    "schema": "autotune.validation/1",
    "name": "quickstart",
    "spec": STUDY,
    "outlook": documents.OUTLOOK,
    "lines": ["study quickstart: throughput of random:minilm-l6, batch 1 x 128 tokens, offline"],
    "skipped": None,
}

METRICS: Final = (
    '# HELP autotune_jobs Jobs by state.\n# TYPE autotune_jobs gauge\nautotune_jobs{state="queued"} 2.0\n'
)
