"""A plan as a target's files: options in, a preview of every file out, and what is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response

from autotune.errors import AutotuneError, ExportError
from autotune.exporters.exporting import export, launch_for
from autotune.exporters.options import REQUIRED, option_rows, read_options
from autotune.exporters.protocol import PARTS, Exported, Exporter
from autotune.exporters.registry import exporters, get_exporter
from autotune.plan.document import Plan
from autotune.plan.launch import PLAN_FILE, server_of
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
    return AskedExport(
        target,
        options,
        command=typed.get("command", "").strip() or None,
        workers="workers" in typed,
        allow_loss="allow_loss" in typed,
    )


def _answer(request: Request, template: str, context: Context, plan: Plan, target: str) -> Response:
    exporter, typed = get_exporter(target), dict(request.query_params)
    asked = _asked(target, typed)
    exported, error = None, None
    faults = _option_faults(exporter, asked.options)
    missing = [name for name, fault in faults.items() if not fault]
    needs_command = _needs_command(exporter, plan, asked)
    try:
        if not faults and not needs_command:
            _, exported = export_plan(context, plan, asked)
    except AutotuneError as refusal:
        error = refusal
    return render(
        request,
        template,
        plan=plan,
        exporter=exporter,
        options=_option_fields(exporter, typed, faults),
        missing=missing,
        faults=[(OPTION + name, name, fault) for name, fault in faults.items() if fault],
        needs_command=needs_command,
        takes_command="command" in exporter.programs and context.settings.commands,
        command=asked.command or "",
        stated=server_of(plan) is not None,
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


def _option_faults(exporter: Exporter, options: Mapping[str, str]) -> dict[str, str]:
    """Say of each option that is wrong what is; an empty text of one that is only missing."""
    faults = {}
    for row in option_rows(exporter):
        if row.name not in options and row.usual == REQUIRED:
            faults[row.name] = ""
    needed = dict.fromkeys(faults, "x")
    for name, text in options.items():
        try:
            read_options(exporter, [f"{name}={text}", *(f"{one}={usual}" for one, usual in needed.items())])
        except ExportError as error:
            faults[name] = error.problem.removeprefix("--set ")
    return faults


def _needs_command(exporter: Exporter, plan: Plan, asked: AskedExport) -> bool:
    """Whether the target starts the user's server, and nobody says how that is started."""
    server = server_of(plan)
    is_known = asked.command is not None or (server is not None and server.command is not None)
    return exporter.is_starting and "worker" not in exporter.programs and not is_known


@dataclass(frozen=True)
class TargetCard:
    """A target as a plan's page lists it.

    Attributes:
        note: what it asks for, or why it cannot take the plan; empty where it takes it as it is.
        is_possible: whether anything can be done about that.
    """

    name: str
    summary: str
    note: str
    is_possible: bool


def target_cards(plan: Plan) -> list[TargetCard]:
    """List the targets, and what stands between each and this plan; nothing is written."""
    return [_card(plan, name, exporter) for name, exporter in sorted(exporters().items())]


def _card(plan: Plan, name: str, exporter: Exporter) -> TargetCard:
    needs = [row.name for row in option_rows(exporter) if row.usual == REQUIRED]
    if _needs_command(exporter, plan, AskedExport(name)):
        needs.append("your server’s command")
    if needs:
        return TargetCard(name, exporter.summary, f"asks for {' and '.join(needs)}", is_possible=True)
    try:
        options = read_options(exporter, [])
        launch = launch_for(
            exporter, plan, server_of(plan), plan_path=options.plan or PLAN_FILE, workers=False
        )
        export(exporter, launch, options, allow_loss=True)
    except AutotuneError as error:
        return TargetCard(name, exporter.summary, f"cannot: {error.problem}", is_possible=False)
    return TargetCard(name, exporter.summary, "", is_possible=True)


def _option_fields(
    exporter: Exporter, asked: Mapping[str, str], faults: Mapping[str, str]
) -> list[dict[str, Any]]:
    return [
        {
            "field": OPTION + row.name,
            "name": row.name,
            "usual": "" if row.usual == REQUIRED else row.usual,
            "is_required": row.usual == REQUIRED,
            "meaning": row.meaning.replace("`", ""),
            "text": asked.get(OPTION + row.name, ""),
            "wrong": faults.get(row.name, ""),
        }
        for row in option_rows(exporter)
    ]
