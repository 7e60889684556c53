"""`autotune machine`: what this host is and what we may use of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autotune.cli import output


def machine(
    root: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            readable=False,  # what cannot be read is told by the reader, with its own exit code
            help="Read DIR/sys and DIR/proc instead of this host's: a recording of another machine.",
        ),
    ] = Path("/"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show what this host is and what we may use of it: topology, ISA features, quota and limits."""
    from autotune.bench.here import machine_here
    from autotune.machine.describe import describe
    from autotune.machine.document import machine_document

    found = machine_here(root)
    if json:
        output.result_json(machine_document(found))
    else:
        output.result_text(describe(found))
