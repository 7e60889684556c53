"""Values ↔ rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row

from autotune.errors import StoreError
from autotune.spec.configuration import Configuration
from autotune.store.records import (
    ConfirmationRecord,
    PlanSummary,
    StudyRecord,
    TrialRecord,
    TrialSummary,
)

if TYPE_CHECKING:
    from autotune.measurement.measurement import TrialResult
    from autotune.plan.document import Plan


def study_row(record: StudyRecord) -> dict[str, Any]:
    """The columns of a study but its id."""
    return {
        "name": record.name,
        "created_s": record.created_s,
        "model_source": record.model_source,
        "model_digest": record.model_digest,
        "spec": record.spec,
        "machine": record.machine,
        "versions": record.versions,
    }


def study_record(row: Row[Any]) -> StudyRecord:
    """The inverse of `study_row`.

    Raises:
        StoreError: a document in it is none.
    """
    for column in ("spec", "machine", "versions"):
        if not isinstance(getattr(row, column), dict):
            raise StoreError(
                f"study {row.name!r} is damaged in the store: its {column} is not an object",
                remedy="run it under another name (--name NEW), or use another store (--store URL)",
            )
    return StudyRecord(
        name=row.name,
        created_s=row.created_s,
        spec=row.spec,
        machine=row.machine,
        versions=row.versions,
        model_digest=row.model_digest,
        model_source=row.model_source,
    )


def trial_row(record: TrialRecord, study_id: int) -> dict[str, Any]:
    """The columns of a trial but its id."""
    return {
        "study_id": study_id,
        "number": record.number,
        "baseline": record.baseline,
        "configuration": record.configuration.parameters(),
        "started_s": record.started_s,
        "ended_s": record.ended_s,
        "failure": _failure_kind(record.result),
        "score": record.score,
        "violations": dict(record.violations),
        "result": _result_document(record.result),
        "host": record.host,
    }


def trial_record(row: Row[Any], study: str) -> TrialRecord:
    """The inverse of `trial_row`; needs every column."""
    return TrialRecord(
        study=study,
        number=row.number,
        configuration=Configuration.from_parameters(row.configuration),
        baseline=row.baseline,
        started_s=row.started_s,
        ended_s=row.ended_s,
        result=_result(row.result, failed=row.failure is not None),
        score=row.score,
        violations=row.violations,
        host=getattr(row, "host", ""),
    )


def trial_summary(row: Row[Any], study: str) -> TrialSummary:
    """A trial from every column but `result`."""
    return TrialSummary(
        study=study,
        number=row.number,
        configuration=Configuration.from_parameters(row.configuration),
        baseline=row.baseline,
        started_s=row.started_s,
        ended_s=row.ended_s,
        failure=row.failure,
        score=row.score,
        violations=row.violations,
    )


def confirmation_row(record: ConfirmationRecord, study_id: int) -> dict[str, Any]:
    """The columns of a confirmation's run but its id."""
    return {
        "study_id": study_id,
        "series": record.series,
        "round": record.round,
        "position": record.position,
        "contender": record.contender,
        "trial": record.trial,
        "configuration": record.configuration.parameters(),
        "started_s": record.started_s,
        "ended_s": record.ended_s,
        "failure": _failure_kind(record.result),
        "score": record.score,
        "violations": dict(record.violations),
        "result": _result_document(record.result),
        "host": record.host,
    }


def confirmation_record(row: Row[Any], study: str) -> ConfirmationRecord:
    """The inverse of `confirmation_row`; needs every column."""
    return ConfirmationRecord(
        study=study,
        series=row.series,
        round=row.round,
        position=row.position,
        contender=row.contender,
        trial=row.trial,
        configuration=Configuration.from_parameters(row.configuration),
        started_s=row.started_s,
        ended_s=row.ended_s,
        result=_result(row.result, failed=row.failure is not None),
        score=row.score,
        violations=row.violations,
        host=getattr(row, "host", ""),
    )


def plan_row(plan: Plan, study_id: int, origin: str = "") -> dict[str, Any]:
    """All columns of a plan."""
    from autotune.plan.document import format_plan

    return {
        "id": plan.id,
        "study_id": study_id,
        "trial": plan.trial,
        "created_s": plan.created_s,
        "objective": plan.objective,
        "configuration": plan.configuration.parameters(),
        "score": plan.estimate.objective_value,
        "gain": plan.gain,
        "document": format_plan(plan),
        "origin": origin,
    }


def plan_summary(row: Row[*tuple[Any, ...]]) -> PlanSummary:
    """A plan from its columns, and its study's name.

    What older plans state otherwise, or no column has, is of its document.
    """
    confirmation = json.loads(row.document).get("confirmation", {})
    is_unopposed = confirmation.get("verdict") == "unopposed"  # older ones have a gain all the same
    default = confirmation.get("default") or {}
    return PlanSummary(
        id=row.id,
        study=row.name,
        objective=row.objective,
        configuration=Configuration.from_parameters(row.configuration),
        score=row.score,
        gain=None if is_unopposed else row.gain,
        default_ratio=None if default.get("unseen") else default.get("ratio"),
        created_s=row.created_s,
        origin=getattr(row, "origin", ""),
    )


def _failure_kind(result: TrialResult) -> str | None:
    from autotune.measurement.measurement import Failure  # here: a listing reads no results

    return result.kind.value if isinstance(result, Failure) else None


def _result_document(result: TrialResult) -> dict[str, Any]:
    from autotune.measurement.codec import failure_to_json, measurement_to_json
    from autotune.measurement.measurement import Failure

    return failure_to_json(result) if isinstance(result, Failure) else measurement_to_json(result)


def _result(document: object, *, failed: bool) -> TrialResult:
    from autotune.measurement.codec import failure_from_json, measurement_from_json

    return failure_from_json(document) if failed else measurement_from_json(document)
