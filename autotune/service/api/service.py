"""Whether the service works, and the description of its API."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from autotune.errors import AutotuneError
from autotune.service.access import AccessRole
from autotune.service.api import examples
from autotune.service.api.description import describe
from autotune.service.api.documented import documented, refusal
from autotune.service.api.shapes import HealthShape, OpenShape
from autotune.service.context import InContext
from autotune.service.metrics import CONTENT_TYPE, ServiceMetrics
from autotune.service.problems import log_own_fault, problem_response

router = APIRouter(tags=["service"])

_LIVE = {"status": "live"}
_READY = {"status": "ready"}


@router.get(
    "/health/live",
    operation_id="is_live",
    summary="Is it alive?",
    response_model=None,
    responses={200: {"model": HealthShape, "content": {"application/json": {"example": _LIVE}}}},
    openapi_extra={"security": []},
)
async def is_live() -> Response:
    """Answer; needs no token, nor a thread, which a locked store may keep from being free."""
    return JSONResponse(_LIVE)


@router.get(
    "/health/ready",
    operation_id="is_ready",
    summary="Can it work?",
    response_model=None,
    responses={
        200: {"model": HealthShape, "content": {"application/json": {"example": _READY}}},
        503: refusal(503),
    },
    openapi_extra={"security": []},
)
def is_ready(request: Request, context: InContext) -> Response:
    """Say whether jobs can be asked for and are begun; needs no token."""
    try:
        context.queue.running(context.machine)
    except AutotuneError as error:
        log_own_fault(error)
        return _unready("the store does not answer", "see the service's log, or run: autotune doctor")
    dispatcher = request.app.state.dispatcher
    if dispatcher is not None and not dispatcher.is_alive:
        return _unready("nobody begins jobs", "see the service's log, and start it again")
    return JSONResponse(_READY)


def _unready(what: str, remedy: str) -> Response:
    return problem_response(503, "not-ready", what, remedy=remedy, headers={"Retry-After": "10"})


@router.get(
    "/metrics",
    operation_id="show_metrics",
    summary="Show metrics",
    **documented(AccessRole.READ, examples.METRICS, media="text/plain"),
)
def show_metrics(request: Request) -> Response:
    """Give metrics for Prometheus: trials, scores, jobs, what disturbed and delayed them, and requests."""
    metrics: ServiceMetrics = request.app.state.metrics
    return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})


@router.get(
    "/openapi.json",
    operation_id="describe_api",
    summary="Describe the API",
    **documented(AccessRole.READ, {"openapi": "3.1.0", "paths": {}}, shape=OpenShape),
)
def describe_api(request: Request) -> Response:
    """Give this description."""
    return JSONResponse(describe(request.app))
