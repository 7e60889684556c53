"""The machine over HTTP: what it is, its engines, and the models that a study may name."""

from __future__ import annotations

from fastapi import APIRouter, Response
from starlette.responses import JSONResponse

from autotune.service.access import AccessRole
from autotune.service.api import example_documents as documents
from autotune.service.api.document_shapes import EnginesShape, MachineFactsShape, ModelsShape, SchemaShape
from autotune.service.api.documented import documented
from autotune.service.context import InContext
from autotune.service.models import models_document

router = APIRouter(prefix="/api/v1", tags=["machine"])


@router.get(
    "/machine",
    operation_id="show_machine",
    summary="Show the machine",
    **documented(AccessRole.READ, documents.MACHINE, shape=MachineFactsShape),
)
def show_machine() -> Response:
    """Show what the service's machine is, as `autotune machine --json` does."""
    from autotune.bench.local import machine_here
    from autotune.machine.document import machine_document

    return JSONResponse(machine_document(machine_here()))


@router.get(
    "/engines",
    operation_id="list_engines",
    summary="List the engines",
    **documented(AccessRole.READ, documents.ENGINES, shape=EnginesShape),
)
def list_engines() -> Response:
    """List the engines with what each can do here, as `autotune engines --json` does."""
    from autotune.backends.inventory import engine_statuses
    from autotune.backends.registry import broken_backends
    from autotune.bench.local import machine_here
    from autotune.documents.engines import engines_document
    from autotune.search.knobs import knob_statuses

    machine = machine_here()
    statuses, knobs = engine_statuses(machine.isa), knob_statuses(machine.isa)
    return JSONResponse(engines_document(machine, statuses, knobs, broken_backends()))


@router.get(
    "/models",
    operation_id="list_models",
    summary="List the models",
    **documented(AccessRole.READ, documents.MODELS, shape=ModelsShape),
)
def list_models(context: InContext) -> Response:
    """List the sources that a study may name here: by kind, and those that lie in the operator's folders."""
    return JSONResponse(models_document(context.settings))


@router.get(
    "/schema",
    operation_id="show_schema",
    summary="Show the schema of a study",
    **documented(AccessRole.READ, documents.SCHEMA, shape=SchemaShape),
)
def show_schema() -> Response:
    """Show all that a study may hold as JSON Schema, as `autotune schema` does."""
    from autotune.spec.schema import study_schema

    return JSONResponse(study_schema())
