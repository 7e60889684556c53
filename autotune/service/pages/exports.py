"""A plan as a target's files: options in, a preview of every file out, and what is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response

from autotune.errors import AutotuneError
from autotune.exporters.options import REQUIRED, option_rows
from autotune.exporters.protocol import PARTS, Exporter
from autotune.exporters.registry import get_exporter
from autotune.plan.document import Plan
from autotune.service.access import MayRead
from autotune.service.context import InContext
from autotune.service.exporting import TAR_GZ, PlanExport, archive, export_plan, listed_files
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router

router = page_router()

OPTION = "set."
"""Begins the name of a field that holds an option of the target."""

_FLAGS = ("workers", "allow_loss")


@router.get("/plans/{plan_id}/export/{target}")
def export_page(request: Request, context: InContext, _: MayRead, plan_id: str, target: str) -> Response:
    """Show what a target's files would be."""
    return _answer(request, "export.html", context.store.plan(plan_id), target)


@router.get("/plans/{plan_id}/export/{target}/part")
def export_part(request: Request, context: InContext, _: MayRead, plan_id: str, target: str) -> Response:
    """Give the part of the page that depends on the options."""
    return _answer(request, "parts/export.html", context.store.plan(plan_id), target)


@router.get("/plans/{plan_id}/export/{target}/files")
def download(request: Request, context: InContext, _: MayRead, plan_id: str, target: str) -> Response:
    """Give all files of a target as one archive."""
    name, content = archive(_export(context.store.plan(plan_id), target, request.query_params))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=TAR_GZ, headers=headers)


def _export(plan: Plan, target: str, asked: Mapping[str, str]) -> PlanExport:
    settings = [
        f"{name.removeprefix(OPTION)}={text}"
        for name, text in asked.items()
        if name.startswith(OPTION) and text
    ]
    return export_plan(plan, target, settings, **{flag: flag in asked for flag in _FLAGS})


def _answer(request: Request, template: str, plan: Plan, target: str) -> Response:
    exporter, asked = get_exporter(target), dict(request.query_params)
    done, error = None, None
    try:
        done = _export(plan, target, asked)
    except AutotuneError as refusal:
        error = refusal
    return render(
        request,
        template,
        plan=plan,
        exporter=exporter,
        options=_option_fields(exporter, asked),
        flags={flag: flag in asked for flag in _FLAGS},
        keeps=[(words, exporter.keeps.of(part)) for part, words in PARTS.items()],
        files=[] if done is None else listed_files(done.exported),
        remarks=() if done is None else done.remarks,
        error=error,
        download=f"/plans/{plan.id}/export/{target}/files?{urlencode(asked)}",
    )


def _option_fields(exporter: Exporter, asked: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "field": OPTION + row.name,
            "name": row.name,
            "usual": "" if row.usual == REQUIRED else row.usual,
            "is_required": row.usual == REQUIRED,
            "meaning": row.meaning,
            "text": asked.get(OPTION + row.name, ""),
        }
        for row in option_rows(exporter)
    ]
