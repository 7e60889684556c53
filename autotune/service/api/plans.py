"""Plans over HTTP: what the store holds, a plan's document, and its files for a target."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from autotune.documents.export import TARGETS_SCHEMA, export_document, target_document
from autotune.documents.study import plan_line
from autotune.errors import RequestError
from autotune.plan.document import plan_values
from autotune.service.access import AccessRole
from autotune.service.api import example_documents as documents
from autotune.service.api.document_shapes import ExportShape, PlanListShape, PlanShape, TargetListShape
from autotune.service.api.documented import documented
from autotune.service.context import InContext
from autotune.service.exporting import TAR, AskedExport, download, export_plan
from autotune.store.standings import standings

router = APIRouter(prefix="/api/v1", tags=["plans"])

PlanInPath = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,79}$",
        description="A plan's id or how it begins, a study's name (its newest plan), or `latest`.",
        examples=["latest"],
    ),
]


DOWNLOADS = ("text/plain", TAR)
"""Types of what is downloaded, beside JSON."""


@router.get(
    "/plans",
    operation_id="list_plans",
    summary="List plans",
    **documented(AccessRole.READ, documents.PLANS, shape=PlanListShape, refused=(404,)),
)
def list_plans(
    context: InContext,
    study: Annotated[str | None, Query(max_length=64, description="Only of this study.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """List plans, newest first."""
    found = context.store.plans(study)
    more = offset + limit if offset + limit < len(found) else None
    page = found[offset : offset + limit]
    shown = standings(context.store, [plan.id for plan in page])
    listed = [plan_line(plan, shown.get(plan.id)) for plan in page]
    return JSONResponse({"plans": listed, "count": len(found), "next": more})


@router.get(
    "/plans/{ref}",
    operation_id="show_plan",
    summary="Show a plan",
    **documented(AccessRole.READ, documents.PLAN, shape=PlanShape, refused=(404,)),
)
def show_plan(context: InContext, ref: PlanInPath) -> Response:
    """Show a plan with its evidence, as `autotune show --json` does."""
    return JSONResponse(plan_values(context.store.plan(ref)))


@router.get(
    "/targets",
    operation_id="list_targets",
    summary="List export targets",
    **documented(AccessRole.READ, documents.TARGETS, shape=TargetListShape),
)
def list_targets() -> Response:
    """List what a plan can be exported to, what each target keeps of it, and the options of each."""
    from autotune.exporters.options import option_rows
    from autotune.exporters.registry import exporters

    listed = [target_document(exporter, list(option_rows(exporter))) for exporter in exporters().values()]
    return JSONResponse({"schema": TARGETS_SCHEMA, "targets": listed})


class ExportQuery(BaseModel):
    """How a plan is to be exported; any other parameter is an option of the target."""

    model_config = ConfigDict(extra="allow")

    to: Annotated[
        str, Field(max_length=64, description="The target, such as `systemd`.", examples=["numactl"])
    ]
    set: Annotated[list[str], Field(max_length=50, description="NAME=VALUE of an option of the target.")] = []
    port: Annotated[
        int | None, Field(ge=1, le=65_535, description="Of the server's first instance; else the study's.")
    ] = None
    command: Annotated[
        str | None,
        Field(max_length=1000, description="Of your server, if the operator allows it; else the study's."),
    ] = None
    workers: Annotated[
        bool, Field(description="Start autotune's workers, to measure, though there is a server.")
    ] = False
    allow_loss: Annotated[
        bool, Field(description="Export though the target loses what the plan depends on.")
    ] = False
    download: Annotated[bool, Field(description="Give the files, not a description of them.")] = False
    archive: Annotated[bool, Field(description="Download an archive, even of a single file.")] = False


@router.get(
    "/plans/{ref}/export",
    operation_id="export_plan",
    summary="Export a plan",
    **documented(AccessRole.READ, documents.EXPORT, shape=ExportShape, refused=(404,), downloads=DOWNLOADS),
)
def export(context: InContext, ref: PlanInPath, query: Annotated[ExportQuery, Query()]) -> Response:
    """Show what a target makes of a plan, or download it: the bytes that `autotune export` writes.

    One file comes as it is; several, or with `archive` even one, as a tar.gz with plan.json.
    """
    plan = context.store.plan(ref)
    exporter, exported = export_plan(context, plan, _asked(query))
    if not (query.download or query.archive):
        return JSONResponse(export_document(plan.id, exporter, exported))
    found = download(plan, exporter, exported, whole=query.archive)
    headers = {"Content-Disposition": f'attachment; filename="{found.name}"'}
    return Response(found.content, media_type=found.media, headers=headers)


def _asked(query: ExportQuery) -> AskedExport:
    """Give what is asked, the target's options among it.

    Raises:
        RequestError: an option has no value, or is there twice.
    """
    options = {name: str(value) for name, value in (query.model_extra or {}).items()}
    for setting in query.set:
        name, equals, value = setting.partition("=")
        if not equals or not name or name in options:
            raise RequestError(
                f"{setting!r:.80} is no setting, or there twice", path="set", remedy="write set=NAME=VALUE"
            )
        options[name] = value
    return AskedExport(
        target=query.to,
        options=options,
        port=query.port,
        command=query.command,
        workers=query.workers,
        allow_loss=query.allow_loss,
    )
