"""What each kind of job needs, as it lies in the store: read strictly, written by the same classes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autotune.errors import JobError
from autotune.spec.study import StudySpec
from autotune.store.job_records import JobRecord, JobRequest

FORMAT: Literal[1] = 1
"""Version of what lies in the store."""


class _Values(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = FORMAT


class TuneValues(_Values):
    """`autotune tune`: the study as it was written, and whether a model may be downloaded."""

    study: StudySpec
    offline: bool = True


class VerifyValues(_Values):
    """`autotune verify`: the id of a plan in the store, how long it may take, and who is told of it.

    Attributes:
        webhook: URL that is told where the plan does not hold any more; empty = nobody is.
    """

    plan: str
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.05
    rounds: Annotated[int, Field(ge=1)] | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None
    webhook: str = ""


class CompareValues(_Values):
    """`autotune compare`: the ids of two plans in the store, and how long it may take."""

    a: str
    b: str
    rounds: Annotated[int, Field(ge=1)] | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None


JobValues = TuneValues | VerifyValues | CompareValues

_KINDS: dict[str, type[JobValues]] = {"tune": TuneValues, "verify": VerifyValues, "compare": CompareValues}


def values_to_store(values: JobValues) -> dict[str, Any]:
    """Write what a job needs as JSON has it."""
    return values.model_dump(mode="json")


def read_values(job: JobRecord) -> JobValues:
    """Read what a job needs.

    Raises:
        JobError: it was written by a later version, or is damaged.
    """
    kind = _KINDS.get(job.request.kind)
    if kind is None:
        raise JobError(f"{job.request.kind!r} is no kind of job", remedy="update autotune, or delete the job")
    try:
        return kind.model_validate(dict(job.request.values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise JobError(
            f"what the job {job.id} asks for cannot be read: {where}: {first['msg']}",
            remedy="it was asked for by another version of autotune: update, or ask anew",
        ) from None


def tune_request(values: TuneValues, machine: str, **others: Any) -> JobRequest:
    """Ask for a study on a machine.

    Args:
        values: the study.
        machine: name of the machine.
        others: fields of `JobRequest`: priority, key and who asks.
    """
    return JobRequest("tune", values.study.name, machine, values_to_store(values), **others)
