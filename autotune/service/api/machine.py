"""The machine over HTTP: what it is, its engines, and the models that a study may name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from starlette.responses import JSONResponse

from autotune.errors import BusyError
from autotune.service.access import AccessRole
from autotune.service.api import example_documents as documents
from autotune.service.api.document_shapes import (
    DoctorShape,
    EnginesShape,
    MachineFactsShape,
    ModelsShape,
    SchemaShape,
)
from autotune.service.api.documented import documented
from autotune.service.children import LONGEST_S, ask_child
from autotune.service.context import Context, InContext
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
    from autotune.bench.here import machine_here
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
    from autotune.bench.here import machine_here
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
    "/doctor",
    operation_id="examine_machine",
    summary="Examine the machine",
    **documented(AccessRole.READ, documents.DOCTOR, shape=DoctorShape),
)
def examine_machine(context: InContext) -> Response:
    """Say what is broken, and what would make measurements better, as `autotune doctor --json` does."""
    return JSONResponse(examined(context))


def examined(context: Context) -> dict[str, Any]:
    """Examine the store, the machine and the service, in a process of its own.

    Raises:
        BusyError: a job measures here, and the service has no cpu of its own; or others ask, too.
    """
    if not context.settings.cpus and context.queue.running(context.machine) is not None:
        raise BusyError(
            "a job measures on this machine, which an examination would disturb",
            remedy="ask again once it has ended",
            after_s=60,
        )
    try:
        document: dict[str, Any] = ask_child("doctor", {"store": context.settings.store})["document"]
    except TimeoutError:
        raise BusyError(
            f"the examination took more than {LONGEST_S:g} s", remedy="run: autotune doctor"
        ) from None
    return document


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
