"""The command line: registers the commands, and turns every error into a message and an exit code."""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from autotune.cli import exits, output
from autotune.cli.cache import cache
from autotune.cli.choose import choose
from autotune.cli.compare import compare
from autotune.cli.cost import cost
from autotune.cli.curve import curve
from autotune.cli.descriptors import open_standard_descriptors
from autotune.cli.engines import engines
from autotune.cli.export import export
from autotune.cli.fleet import fleet
from autotune.cli.import_plans import import_plans
from autotune.cli.machine import machine
from autotune.cli.plans import plans
from autotune.cli.prices import prices
from autotune.cli.remote.jobs import cancel, resume, status
from autotune.cli.remote.submit import submit
from autotune.cli.remote.watch import watch
from autotune.cli.report import report
from autotune.cli.schema import schema
from autotune.cli.series import FORMER_NAME, series, tell_former_name
from autotune.cli.serving.serve import serve
from autotune.cli.show import show
from autotune.cli.tune import tune
from autotune.cli.upkeep.backup import backup, restore
from autotune.cli.upkeep.doctor import doctor
from autotune.cli.upkeep.prune import prune
from autotune.cli.verify import verify
from autotune.errors import AutotuneError
from autotune.files import is_out_of_space
from autotune.stop import Stopped

app = typer.Typer(
    name="autotune",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=exits.help_epilog(),
)

for _command in (machine, engines, tune, plans, show, report, export, verify, compare, curve, fleet, choose):
    app.command()(_command)
app.command(name="import")(import_plans)
app.add_typer(series, name="series")
app.add_typer(series, name=FORMER_NAME, hidden=True, callback=tell_former_name)
app.add_typer(cache, name="cache")
for _asking in (submit, status, watch, cancel, resume):
    app.command()(_asking)
app.add_typer(serve, name="serve")
for _keeping in (doctor, backup, restore, prune):
    app.command()(_keeping)
app.command()(cost)
app.command()(prices)
app.command()(schema)


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


NEW_OBJECTS = 50_000
"""So many make Python look for cyclic garbage, in the place of 700: importing makes many, and no garbage."""


def main() -> NoReturn:
    """Run the command line and exit; see `autotune.cli.exits` for the codes.

    A quarter of the time of a short command went into looking for garbage, most of it at the end of the
    process, where nothing is gained by that any more: what there is then is set aside.
    Source: studies/benchmarks/store.py.
    """
    gc.set_threshold(NEW_OBJECTS)
    code = run()
    gc.freeze()
    raise SystemExit(code)


def run() -> int:
    """Run the command line of `sys.argv` and give its exit code."""
    unseen = open_standard_descriptors()
    if unseen:
        output.message(unseen)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does: no terminal shows every text
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except (Exception, KeyboardInterrupt, Stopped) as error:
        return _explain(error)
    return 0


def _explain(error: BaseException) -> int:
    """Say what ended the command, and give its exit code."""
    if isinstance(error, AutotuneError):
        output.error(str(error))
        return exits.exit_code(error)
    if isinstance(error, KeyboardInterrupt | Stopped):
        output.message("interrupted")
        return exits.INTERRUPTED
    if isinstance(error, OSError | UnicodeError):
        # A file or folder that cannot be used, a full disk, text that cannot be encoded, a closed pipe.
        if not isinstance(error, BrokenPipeError):
            output.error(_in_words(error))
        _detach_stdout()
        return exits.EXIT_CODES[AutotuneError]
    output.message("".join(traceback.format_exception(error)).rstrip())
    output.error("this is a bug in autotune; please report it with the lines above")
    return exits.BUG


def _in_words(error: OSError | UnicodeError) -> str:
    """What happened, and what helps where that is known."""
    if isinstance(error, OSError) and is_out_of_space(error):
        return f"{error}\n  free some space on that disk, and run the command again"
    return str(error)


def _detach_stdout() -> None:
    """Point stdout where Python's last flush cannot fail."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
