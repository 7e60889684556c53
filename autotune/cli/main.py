"""The command line: registers the commands, and turns every error into a message and an exit code."""

from __future__ import annotations

import importlib
import importlib.util
import traceback
from typing import Annotated, NoReturn

import typer

from autotune.cli import exits, output
from autotune.errors import AutotuneError

COMMANDS = ("machine", "tune", "plans", "show", "export", "cache", "schema")

app = typer.Typer(
    name="autotune",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=exits.help_epilog(),
)

for _name in COMMANDS:
    if importlib.util.find_spec(f"autotune.cli.{_name}") is not None:
        _command = getattr(importlib.import_module(f"autotune.cli.{_name}"), _name)
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name)
        else:
            app.command(_name)(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output.result_text(f"autotune {version('autotune')}")
        raise typer.Exit


@app.callback()
def autotune(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Find, prove and export the fastest way to serve a transformer encoder on this CPU machine."""


def main() -> NoReturn:
    """Run the command line and exit; see `autotune.cli.exits` for the codes."""
    raise SystemExit(run())


def run() -> int:
    """Run the command line of `sys.argv` and give its exit code."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except AutotuneError as error:
        output.error(str(error))
        return exits.exit_code(error)
    except Exception:
        output.message(traceback.format_exc().rstrip())
        output.error("this is a bug in autotune; please report it with the lines above")
        return exits.BUG
    return 0
