"""A plan as a target's files: options in, a preview of every file out, and what is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response

from autotune.errors import AutotuneError
from autotune.exporters.options import REQUIRED, option_rows
from autotune.exporters.protocol import PARTS, Exported, Exporter
from autotune.exporters.registry import get_exporter
from autotune.plan.document import Plan
from autotune.plan.launch import PLAN_FILE
from autotune.plan.prepared import folders_gone
from autotune.service.access import MayRead
from autotune.service.context import Context, InContext
from autotune.service.exporting import AskedExport, export_plan
from autotune.service.exporting import download as packed
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router

router = page_router()

OPTION = "set."
"""Begins the name of a field that holds an option of the target."""

_FLAGS = ("workers", "allow_loss")


@router.get("/plans/{plan_id}/export/{target}")
def export_page(request: Request, context: InContext, _: MayRead, plan_id: str, target: str) -> Response:
    """Show what a target's files would be."""
    return _answer(request, "export.html", context, context.store.plan(plan_id), target)


@router.get("/plans/{plan_id}/export/{target}/part")
def export_part(request: Request, context: InContext, _: MayRead, plan_id: str, target: str) -> Response:
    """Give the part of the page that depends on the options."""
    return _answer(request, "parts/export.html", context, context.store.plan(plan_id), target)


@router.get("/plans/{plan_id}/export/{target}/files")
def download(request: Request, context: InContext, _: MayRead, plan_id: str, target: str) -> Response:
    """Give all files of a target as one archive."""
    plan = context.store.plan(plan_id)
    whole = packed(plan, *export_plan(context, plan, _asked(target, request.query_params)), whole=True)
    headers = {"Content-Disposition": f'attachment; filename="{whole.name}"'}
    return Response(whole.content, media_type=whole.media, headers=headers)


def _asked(target: str, typed: Mapping[str, str]) -> AskedExport:
    given = {name.removeprefix(OPTION): text for name, text in typed.items() if name.startswith(OPTION)}
    options = {name: text for name, text in given.items() if text}
    return AskedExport(target, options, workers="workers" in typed, allow_loss="allow_loss" in typed)


def _answer(request: Request, template: str, context: Context, plan: Plan, target: str) -> Response:
    exporter, typed = get_exporter(target), dict(request.query_params)
    exported, error = None, None
    try:
        _, exported = export_plan(context, plan, _asked(target, typed))
    except AutotuneError as refusal:
        error = refusal
    return render(
        request,
        template,
        plan=plan,
        exporter=exporter,
        options=_option_fields(exporter, typed),
        flags={flag: flag in typed for flag in _FLAGS},
        keeps=[(words, exporter.keeps.of(part)) for part, words in PARTS.items()],
        files=[] if exported is None else listed_files(exported),
        remarks=[] if exported is None else _remarks(plan, exported),
        error=error,
        download=f"/plans/{plan.id}/export/{target}/files?{urlencode(typed)}",
    )


def _remarks(plan: Plan, exported: Exported) -> list[str]:
    """Say what the target does not keep, what it leaves to the user, and what is not on this machine."""
    gone = [
        f"{folder[0].upper()}{folder[1:]} is not here. Where the plan is served it must be there, or nothing "
        "starts."
        for folder in folders_gone(plan)
    ]
    return [*(loss.words for loss in exported.losses), *exported.notes, *gone]


def listed_files(exported: Exported) -> list[tuple[str, str, bool]]:
    """List path, text, and whether it is to be run, of every file; the plan's own document comes last."""
    ordered = sorted(exported.files.items(), key=lambda file: (file[0] == PLAN_FILE, file[0]))
    return [(path, text, path in exported.executable) for path, text in ordered]


def _option_fields(exporter: Exporter, asked: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "field": OPTION + row.name,
            "name": row.name,
            "usual": "" if row.usual == REQUIRED else row.usual,
            "is_required": row.usual == REQUIRED,
            "meaning": row.meaning.replace("`", ""),
            "text": asked.get(OPTION + row.name, ""),
        }
        for row in option_rows(exporter)
    ]
