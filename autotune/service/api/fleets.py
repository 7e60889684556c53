"""What serving costs, over HTTP: of a plan, of a fleet of machines, and the choice among plans."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from autotune.service.access import AccessRole
from autotune.service.api import example_documents as documents
from autotune.service.api.document_shapes import ChoiceShape, CostShape, FleetShape
from autotune.service.api.documented import documented
from autotune.service.api.plans import PlanInPath
from autotune.service.context import InContext
from autotune.service.fleet_asked import choice_among, fleet_of, plan_costs

router = APIRouter(prefix="/api/v1", tags=["plans"])

RateAsked = Annotated[
    Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | Annotated[str, Field(max_length=40)],
    Field(description="Requests per second, or a text such as `6000/min` or `1e9/day`."),
]
LatencyAsked = Annotated[
    Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] | Annotated[str, Field(max_length=40)] | None,
    Field(description="Seconds, or a text such as `20ms`, that this percentile keeps to."),
]
PlanReference = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,79}$",
        description="A plan's id or how it begins, a study's name (its newest plan), or `latest`.",
    ),
]


class PricedBody(BaseModel):
    """What machines cost; nothing = what the plan's study states."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Annotated[
        str | None, Field(max_length=200, description="A machine type's price in the place of the study's.")
    ] = None
    region: Annotated[
        str | None, Field(max_length=200, description="Of the type, where the table has several.")
    ] = None
    prices: Annotated[
        list[dict[str, Any]] | None,
        Field(
            max_length=1500, description="The table's machines, as docs/cost.md says; else the operator's."
        ),
    ] = None


class CostBody(PricedBody):
    """What is asked of a plan's cost."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"rate": "1e9/day"}]}
    )

    rate: RateAsked | None = None


class WorkloadBody(PricedBody):
    """What is to be served. Give one limit of latency."""

    rate: RateAsked
    p50: LatencyAsked = None
    p90: LatencyAsked = None
    p95: LatencyAsked = None
    p99: LatencyAsked = None
    headroom: Annotated[
        Annotated[float, Field(ge=0, le=0.95)] | Annotated[str, Field(max_length=20)],
        Field(description="Of what a machine bears, the share that is left free: 0.3 or `30%`."),
    ] = 0.3
    spare: Annotated[int, Field(ge=0, le=1000, description="Machines beside those that are needed.")] = 1
    zones: Annotated[int, Field(ge=1, le=100, description="Of which one may be lost, if several.")] = 1
    price: Annotated[
        str | None, Field(max_length=40, description="Of one machine an hour, such as `0.808USD`.")
    ] = None


class FleetBody(WorkloadBody):
    """A fleet that runs one plan."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"plan": "quickstart-7f3a9c", "rate": 25000, "p99": "20ms", "price": "0.808USD"}]
        },
    )

    plan: PlanReference = "latest"
    replay: Annotated[bool, Field(description="Check it by a replay in discrete events.")] = True


class ChoiceBody(WorkloadBody):
    """A choice among the newest plans of all studies, or of those that are named."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"rate": "1e9/day", "p99": "20ms"}]}
    )

    budget: Annotated[
        str | None, Field(max_length=40, description="What the fleet may cost a month, such as `5000USD`.")
    ] = None
    studies: Annotated[
        list[Annotated[str, Field(max_length=64)]], Field(max_length=100, description="Their names.")
    ] = []


@router.post(
    "/plans/{ref}/cost",
    operation_id="show_cost",
    summary="Tell what a plan costs",
    **documented(AccessRole.READ, documents.COST, shape=CostShape, refused=(404,)),
)
def show_cost(context: InContext, ref: PlanInPath, body: CostBody) -> Response:
    """Tell what a million samples, a request, and a month at a rate cost, as `autotune cost --json` does."""
    return JSONResponse(plan_costs(context, ref, body.model_dump()))


@router.post(
    "/fleet",
    operation_id="size_fleet",
    summary="Size a fleet",
    **documented(AccessRole.READ, documents.FLEET, shape=FleetShape, refused=(404,)),
)
def size_fleet(context: InContext, body: FleetBody) -> Response:
    """Say how many machines serve a rate, and at what cost, as `autotune fleet --json` does."""
    return JSONResponse(fleet_of(context, body.model_dump()))


@router.post(
    "/choose",
    operation_id="choose_plan",
    summary="Choose a plan",
    **documented(AccessRole.READ, documents.CHOICE, shape=ChoiceShape, refused=(404,)),
)
def choose_plan(context: InContext, body: ChoiceBody) -> Response:
    """Choose the plan that serves a rate at the lowest cost, as `autotune choose --json` does."""
    return JSONResponse(choice_among(context, body.model_dump()))
