"""What the API answers, as schemas for its description; documents are written by `autotune.documents`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

JobStateName = Literal["queued", "running", "done", "failed", "cancelled"]
JobKindName = Literal["tune", "verify", "compare"]


class AnswerShape(BaseModel):
    """Base of every schema of an answer; fields may be added to a version."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class DocumentShape(AnswerShape):
    """Base of answers that name their schema and version."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, alias_generator=lambda name: name.removesuffix("_"), extra="allow"
    )


class FaultShape(AnswerShape):
    """One fault of a body."""

    path: str
    """Where in the body, as `search.instances[2]`; empty for the whole of it."""
    line: int | None
    """Of `study_yaml`, counted from 1."""
    fault: str


class ProblemShape(AnswerShape):
    """A refusal (RFC 9457)."""

    type: str
    """A URN that stays the same, such as `urn:autotune:problem:study-file`."""
    title: str
    status: int
    detail: str
    """What happened, with the offending value in it."""
    remedy: str = ""
    """What to do next."""
    errors: list[FaultShape] = []
    """Every fault of a body by itself."""


class JobFaultShape(AnswerShape):
    """Why a job failed."""

    kind: str
    """The class of the error, such as `ModelError`."""
    problem: str
    remedy: str


class JobLineShape(DocumentShape):
    """A job, as a listing has it."""

    schema_: Literal["autotune.job/1"]
    id: str
    kind: JobKindName
    study: str
    machine: str
    priority: int
    state: JobStateName
    stop_asked: bool
    attempts: int
    asked_by: str
    asked_s: float
    """Unix time, as all times."""
    started_s: float | None
    ended_s: float | None
    plan: str | None
    """The plan that it gave, or that it verified."""
    fault: JobFaultShape | None


class JobShape(JobLineShape):
    """A job with what was asked for and what came of it."""

    request: dict[str, Any]
    """What its kind needs; of `tune` the whole study."""
    result: dict[str, Any] | None
    """Of `verify` and `compare`, what the command prints with `--json`, once it is done."""


class JobStandingShape(JobShape):
    """A job with where it stands."""

    standing: list[str]
    """While it runs, the last lines of its progress: what has ended, and what goes on since then."""


class JobListShape(AnswerShape):
    """Jobs, newest first."""

    jobs: list[JobLineShape]
    next: int | None
    """The `offset` of the next page; null on the last one."""


class QueueShape(DocumentShape):
    """What runs on the service's machine, and what waits in its order."""

    schema_: Literal["autotune.queue/1"]
    running: JobLineShape | None
    waiting: list[JobLineShape]
    counts: dict[JobStateName, int]


class HealthShape(AnswerShape):
    """How the service is."""

    status: Literal["live", "ready"]


class OpenShape(BaseModel):
    """A document that another specification describes."""

    model_config = ConfigDict(extra="allow")


class ScheduleShape(DocumentShape):
    """What is verified every so often."""

    schema_: Literal["autotune.schedule/1"]
    name: str
    study: str
    machine: str
    every_s: float | None
    on_change: bool
    tolerance: float
    minutes: float | None
    webhook: str | None
    priority: int
    asked_by: str
    due_s: float | None
    """When the next job is asked for; null = only when something changes."""


class ScheduleListShape(AnswerShape):
    """Schedules by name."""

    schedules: list[ScheduleShape]
