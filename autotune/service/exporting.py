"""Exports a plan over HTTP: what the command line would write, as a preview or as bytes to take away."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from autotune.errors import AccessError
from autotune.exporters.exporting import export, launch_for
from autotune.exporters.options import read_options
from autotune.exporters.protocol import Exported, Exporter
from autotune.exporters.registry import get_exporter
from autotune.plan.document import Plan
from autotune.plan.launch import PLAN_FILE, server_of
from autotune.plan.prepared import refuse_changed
from autotune.service.context import Context

TAR: Final = "application/gzip"


@dataclass(frozen=True)
class AskedExport:
    """How a plan is to be exported.

    Attributes:
        target: as of `autotune export --to`.
        options: of the target, by name, as texts.
        port: of the server's instance 0; None = the study's.
        command: of the server; None = the study's.
        workers: start autotune's workers, to measure, though there is a server.
        allow_loss: export though the target loses what the plan depends on.
    """

    target: str
    options: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    command: str | None = None
    workers: bool = False
    allow_loss: bool = False


@dataclass(frozen=True)
class Download:
    """What a client takes away: one file, or several in an archive."""

    name: str
    media: str
    content: bytes


def export_plan(context: Context, plan: Plan, asked: AskedExport) -> tuple[Exporter, Exported]:
    """Render a plan for a target, as the command line does; nothing is written.

    Raises:
        ExportError: the target is unknown, an option is wrong, or the target cannot express the plan.
        AccessError: a command is given, and the operator lets nobody give one.
    """
    if asked.command is not None and not context.settings.commands:
        raise AccessError(
            "no server's command is taken from a client of this service",
            remedy="write it into the study on the machine itself, or have the operator allow it",
        )
    exporter = get_exporter(asked.target)
    options = read_options(exporter, [f"{name}={value}" for name, value in asked.options.items()])
    refuse_changed(plan)
    server = server_of(plan, asked.command, asked.port)
    launch = launch_for(exporter, plan, server, plan_path=options.plan, workers=asked.workers)
    return exporter, export(exporter, launch, options, allow_loss=asked.allow_loss)


def download(plan: Plan, exporter: Exporter, exported: Exported, *, whole: bool = False) -> Download:
    """Give what a client takes away: the target's only file as the command line prints it, or an archive.

    Args:
        whole: an archive in any case, with plan.json beside.
    """
    own = [path for path in exported.files if path != PLAN_FILE] or [PLAN_FILE]
    if len(own) == 1 and not whole:
        name = own[0].rpartition("/")[2]
        media = "application/json" if name.endswith(".json") else "text/plain; charset=utf-8"
        return Download(name, media, exported.files[own[0]].encode())
    folder = f"{plan.id}-{exporter.name}"
    return Download(f"{folder}.tar.gz", TAR, _packed(folder, plan, exported))


def _packed(folder: str, plan: Plan, exported: Exported) -> bytes:
    """Pack the files below a folder; the same export gives the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, text in exported.files.items():
            content = text.encode()
            member = tarfile.TarInfo(f"{folder}/{path}")
            member.size, member.mtime = len(content), int(plan.created_s)
            member.mode = 0o755 if path in exported.executable else 0o644
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=int(plan.created_s))
