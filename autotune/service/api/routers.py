"""Every endpoint of the API, in the order of its description."""

from __future__ import annotations

from fastapi import FastAPI

from autotune.service.api import events, fleets, jobs, machine, plans, schedules, service, studies


def include_api(app: FastAPI) -> None:
    """Add the API to an application."""
    for module in (jobs, events, studies, plans, fleets, machine, schedules, service):
        app.include_router(module.router)
