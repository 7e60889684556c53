"""`autotune export`: a plan as the files of a target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autotune.cli import output

STDOUT = "-"


def export(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="[REF]",
            help="`latest`, a plan's id or how it begins, a study's name, or a plan file.",
            show_default=False,
        ),
    ] = "latest",
    *,
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help="What to write: json or numactl.")],
    folder: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Where to; - for stdout.")
    ] = STDOUT,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that no export wrote, or that were edited.")
    ] = False,
    store: Annotated[
        str, typer.Option(metavar="URL", help="Database of studies, trials and plans.")
    ] = "sqlite:///autotune.db",
    as_json: Annotated[bool, typer.Option("--json", help="Print the written paths as JSON.")] = False,
) -> None:
    """Write a plan as a launch script, or as its JSON document."""
    if as_json and folder == STDOUT:
        raise typer.BadParameter("the file itself goes to stdout: give -o DIR with it", param_hint="--json")
    from autotune.exporters.registry import get_exporter
    from autotune.exporters.write import single_text, write_export
    from autotune.store.reference import find_plan

    exporter = get_exporter(to)
    files = exporter.render(find_plan(ref, store))
    if folder == STDOUT:
        output.result_text(single_text(files, to).removesuffix("\n"))
        return
    written = write_export(files, Path(folder), executable=exporter.executable, force=force)
    if as_json:
        output.result_json([str(path) for path in written])
    else:
        output.result_text("\n".join(str(path) for path in written))
