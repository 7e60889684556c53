"""This machine: what it is, what it can run, and what would make measurements better."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import Request, Response

from autotune.backends.inventory import EngineStatus, engine_statuses
from autotune.bench.here import machine_here
from autotune.doctor.diagnosis import SEVERITIES
from autotune.machine.describe import machine_facts, machine_notes
from autotune.machine.document import machine_document
from autotune.machine.machine import Machine
from autotune.service.access import MayRead
from autotune.service.api.machine import examined
from autotune.service.context import Context, InContext
from autotune.service.pages.charts.placement import machine_picture
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router, see

router = page_router()


@router.get("/machine")
def machine(request: Request, context: InContext, _: MayRead, examine: bool = False) -> Response:
    """Show the machine that the service runs on; examine it where somebody asks for that."""
    found = machine_here()
    findings = _examined(context) if examine else None
    return render(request, "machine.html", **_shown(found), name=context.machine, findings=findings)


@router.get("/doctor")
def doctor(_: MayRead) -> Response:
    """Show the examination, under the name that the command line has for it."""
    return see("/machine?examine=true#doctor")


def _examined(context: Context) -> list[dict[str, Any]]:
    """Examine store and machine as `autotune doctor` does, worst first."""
    findings: list[dict[str, Any]] = examined(context)["findings"]
    return sorted(findings, key=lambda finding: -SEVERITIES.index(finding["severity"]))


def _shown(found: Machine) -> dict[str, Any]:
    return {
        "facts": list(machine_facts(found)),
        "notes": list(machine_notes(found)),
        "picture": machine_picture(machine_document(found)),
        "engines": [(status, _engine_words(status)) for status in _engines(frozenset(found.isa))],
    }


@cache
def _engines(isa: frozenset[str]) -> tuple[EngineStatus, ...]:
    """What is installed does not change under a running service, but for who changes it by hand."""
    return tuple(engine_statuses(isa))


def _engine_words(status: EngineStatus) -> dict[str, str]:
    versions = ", ".join(f"{name} {version}" for name, version in status.versions.items())
    return {
        "installed": versions if status.is_installed else "not installed",
        "precisions": ", ".join(status.precisions) or "none",
        "documented": ", ".join(status.documented) or "none",
        "models": ", ".join(f"{kind}:" for kind in status.models) or "none",
    }
