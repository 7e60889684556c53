"""`autotune engines`: what is installed, what each engine can do here, and how to get the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output

if TYPE_CHECKING:
    from autotune.backends.inventory import EngineStatus
    from autotune.machine.machine import Machine

COLUMNS = ("engine", "installed", "precisions", "as documented", "models")


def engines(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the engines, with their precisions on this cpu and their knobs, and how to install the others."""
    from autotune.backends.inventory import engine_statuses
    from autotune.backends.registry import broken_backends
    from autotune.bench.here import machine_here
    from autotune.cli.knobs import KNOB_COLUMNS, knob_refusals, knob_row
    from autotune.search.knobs import knob_statuses

    found = machine_here()
    statuses, broken, knobs = engine_statuses(found.isa), broken_backends(), knob_statuses(found.isa)
    if as_json:
        from autotune.documents.engines import engines_document

        output.result_json(engines_document(found, statuses, knobs, broken))
        return
    output.result_table(f"engines on {_cpu(found)}", COLUMNS, map(_row, statuses))
    output.result_text("")
    output.result_table("knobs", KNOB_COLUMNS, map(knob_row, knobs))
    if notes := [*_refusals(statuses), *knob_refusals(knobs), *_missing(statuses), *broken]:
        output.result_text("\n".join(["", *notes]))


def _cpu(machine: Machine) -> str:
    """The cpu's name, and the features that engines choose their arithmetic by."""
    from autotune.model.artifacts.artifact import deciding_isa

    name = machine.model_name or machine.architecture
    return f"{name} ({', '.join(deciding_isa(machine.isa)) or 'no vector features that engines ask for'})"


def _row(one: EngineStatus) -> tuple[str, ...]:
    versions = ", ".join(f"{name} {version}" for name, version in one.versions.items())
    return (
        one.name,
        versions if one.is_installed else "no",
        ", ".join(one.precisions) or "none",
        ", ".join(one.documented) or "none",
        ", ".join(f"{kind}:" for kind in one.models) or "none",
    )


def _refusals(statuses: Sequence[EngineStatus]) -> Iterator[str]:
    for one in statuses:
        for precision, reason in one.refused.items():
            yield f"not here: {one.name} {precision}: {reason}"


def _missing(statuses: Sequence[EngineStatus]) -> Iterator[str]:
    for one in statuses:
        if not one.is_installed:
            yield f"to install {one.name} (lacks {', '.join(one.missing)}): {one.install_hint}"
