"""Studies and their trials over HTTP, and the dry run of a study."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from autotune.documents.study import stored_study_document, study_line, trial_document
from autotune.service.access import AccessRole
from autotune.service.admission import admit
from autotune.service.ahead import Ahead, look_ahead
from autotune.service.api import example_documents as documents
from autotune.service.api import examples
from autotune.service.api.document_shapes import StudyListShape, StudyShape, TrialListShape, ValidationShape
from autotune.service.api.documented import documented
from autotune.service.asking import read_study_asked
from autotune.service.context import Context, InContext
from autotune.service.deleting import forget_study
from autotune.service.runnable import check_runs
from autotune.store.overview import count_studies, study_summaries
from autotune.store.trial_pages import best_trials, study_found, trials_of

router = APIRouter(prefix="/api/v1", tags=["studies"])

StudyName = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$",
        description="The study's name.",
        examples=["quickstart"],
    ),
]


class StudyBody(BaseModel):
    """A study to check."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"study": examples.STUDY}, {"study_yaml": examples.STUDY_YAML}]},
    )

    study: Annotated[
        dict[str, Any] | None, Field(description="The study as JSON, with what a study file holds.")
    ] = None
    study_yaml: Annotated[str | None, Field(description="Or the text of a study file.")] = None
    name: Annotated[str, Field(max_length=64, description="Its name if it gives none.")] = ""
    outlook: Annotated[bool, Field(description="Lay out its space, too; false = check it alone.")] = True


@router.post(
    "/studies/validate",
    operation_id="validate_study",
    summary="Check a study",
    **documented(AccessRole.READ, examples.VALIDATION, shape=ValidationShape, refused=(409,)),
)
def validate_study(context: InContext, body: StudyBody) -> Response:
    """Check a study and say what it would try here, and for how long. Nothing is measured or stored."""
    spec = admit(read_study_asked(body.study, body.study_yaml, name=body.name), context.settings)
    check_runs(context, spec)
    ahead = look_ahead(context, spec) if body.outlook else Ahead(None, skipped="nobody asked for it")
    return JSONResponse(
        {
            "schema": "autotune.validation/1",
            "name": spec.name,
            "spec": spec.model_dump(mode="json"),
            "outlook": ahead.document,
            "lines": list(ahead.lines),
            "skipped": ahead.skipped or None,
        }
    )


@router.get(
    "/studies",
    operation_id="list_studies",
    summary="List studies",
    **documented(AccessRole.READ, documents.STUDIES, shape=StudyListShape),
)
def list_studies(
    context: InContext,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """List studies, newest first, with how many trials and plans each has."""
    listed = study_summaries(context.store, limit=limit, offset=offset)
    count = count_studies(context.store)
    more = offset + limit if offset + limit < count else None
    return JSONResponse({"studies": [study_line(study) for study in listed], "count": count, "next": more})


@router.get(
    "/studies/{name}",
    operation_id="show_study",
    summary="Show a study",
    **documented(AccessRole.READ, documents.STORED_STUDY, shape=StudyShape, refused=(404,)),
)
def show_study(context: InContext, name: StudyName) -> Response:
    """Show a study: what was asked, on which machine, how its trials stand, and its plans."""
    return JSONResponse(shown_study(context, name))


@router.delete(
    "/studies/{name}",
    operation_id="delete_study",
    summary="Delete a study",
    **documented(AccessRole.ADMIN, status=204, refused=(404, 409)),
)
def delete_study(context: InContext, name: StudyName) -> Response:
    """Forget a study with its trials and plans. Jobs that have ended stay."""
    forget_study(context, name)
    return Response(status_code=204)


def shown_study(context: Context, name: str) -> dict[str, Any]:
    """Write a study of the store as one JSON document.

    Raises:
        NotStoredError: there is none of this name.
    """
    record = study_found(context.store, name)
    found = next((trial for trial in best_trials(context.store, name)), None)
    best = {} if found is None else {"number": found.number, "score": found.score, "gain": found.gain}
    trials = context.store.trial_summaries(name)
    return stored_study_document(record, trials, context.store.plans(name), best)


@router.get(
    "/studies/{name}/trials",
    operation_id="list_trials",
    summary="List a study's trials",
    **documented(AccessRole.READ, documents.TRIALS, shape=TrialListShape, refused=(404,)),
)
def list_trials(
    context: InContext,
    name: StudyName,
    after: Annotated[int, Query(ge=-1, le=10**9, description="Only trials of a higher number.")] = -1,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Response:
    """List a study's trials by number, without raw values, with the reasons of those that failed."""
    found, reasons = trials_of(context.store, name, after=after, limit=limit)
    listed = [trial_document(trial, reasons.get(trial.number, "")) for trial in found]
    more = found[-1].number if len(found) == limit else None
    return JSONResponse({"study": name, "trials": listed, "next": more})
