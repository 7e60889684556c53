"""Every endpoint of the API, in the order of its description."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI

from autotune.service.api import events, fleets, jobs, machine, plans, schedules, service, studies

ROUTERS: Final[tuple[APIRouter, ...]] = tuple(
    module.router for module in (jobs, events, studies, plans, fleets, machine, schedules, service)
)


def include_api(app: FastAPI) -> None:
    """Add the API to an application, which describes it."""
    app.state.api_routes = [route for router in ROUTERS for route in router.routes]
    for router in ROUTERS:
        app.include_router(router)
