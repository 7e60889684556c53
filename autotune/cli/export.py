"""`autotune export`: a plan as the files of a target."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_plan import PlanRef, StoreUrl

if TYPE_CHECKING:
    from autotune.exporters.protocol import Exported, Exporter
    from autotune.plan.document import Plan
    from autotune.plan.launch import Launch

STDOUT = "-"


Target = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="TARGET",
        help="What to write, such as numactl, systemd, compose, kubernetes, triton, nginx or json.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set an option of the target; may be repeated."),
]
HelpOptions = Annotated[
    bool, typer.Option("--help-options", help="List the target's options, and what it keeps of a plan.")
]
ServerCommand = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        help="Your server's command, such as 'uvicorn app:app --port {port}'; by default the study's.",
        show_default=False,
    ),
]
FirstPort = Annotated[
    int | None,
    typer.Option(
        metavar="PORT", help="Port of instance 0; each further one has the next.", show_default=False
    ),
]
WithWorkers = Annotated[
    bool, typer.Option("--workers", help="Start autotune's workers, to measure, though there is a server.")
]
AllowLoss = Annotated[
    bool, typer.Option("--allow-loss", help="Export though the target loses what the plan depends on.")
]


def export(
    ref: PlanRef = "latest",
    *,
    to: Target = "",
    bundle: Annotated[
        str, typer.Option(metavar="PATH", help="Write a folder, or a .tar, to serve the plan elsewhere.")
    ] = "",
    folder: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Where to; - for stdout.")
    ] = STDOUT,
    settings: Settings = None,
    help_options: HelpOptions = False,
    command: ServerCommand = None,
    port: FirstPort = None,
    workers: WithWorkers = False,
    allow_loss: AllowLoss = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that no export wrote, or that were edited.")
    ] = False,
    store: StoreUrl = "sqlite:///autotune.db",
    as_json: Annotated[bool, typer.Option("--json", help="Print the written paths as JSON.")] = False,
) -> None:
    """Write a plan as a launch script, as files for what starts your server, or as its JSON document."""
    from autotune.exporters.exporting import export, single_text
    from autotune.exporters.options import read_options
    from autotune.exporters.write import write_export
    from autotune.plan.prepared import refuse_changed
    from autotune.store.reference import find_plan

    if bundle:
        _refuse_beside_bundle(to, folder)
        _print_written([_write_bundle(find_plan(ref, store), bundle, force=force)], as_json=as_json)
        return
    if help_options:
        _print_options(_exporter(to), as_json=as_json)
        return
    _refuse_json_of_stdout(folder, as_json=as_json)
    exporter = _exporter(to)
    server = _Server(command, port, is_left_out=workers)
    _refuse_in_vain(exporter, server)
    options, plan = read_options(exporter, settings or ()), find_plan(ref, store)
    refuse_changed(plan)
    launch = _launch(exporter, plan, server, plan_path=options.plan or _plan_path(folder))
    exported = export(exporter, launch, options, allow_loss=allow_loss)
    _say_what_is_left(exporter, plan, exported)
    if folder == STDOUT:
        output.result_text(single_text(exported, to).removesuffix("\n"))
        return
    written = write_export(exported.files, Path(folder), executable=exported.executable, force=force)
    _print_written(written, as_json=as_json)


def _say_what_is_left(exporter: Exporter, plan: Plan, exported: Exported) -> None:
    """Say what the target does not keep, what it leaves to the user, and what is not on this machine."""
    from autotune.plan.prepared import folders_gone

    for words in (*(loss.words for loss in exported.losses), *exported.notes):
        output.message(f"{exporter.name}: {words}")
    for gone in folders_gone(plan):
        output.message(f"{gone} is not here. Where the plan is served it must be there, or nothing starts.")


@dataclass(frozen=True)
class _Server:
    """What the command line says of the user's server."""

    command: str | None
    port: int | None
    is_left_out: bool

    @property
    def is_named(self) -> bool:
        return self.command is not None or self.port is not None


def _refuse_in_vain(exporter: Exporter, server: _Server) -> None:
    """Refuse options of a server that nothing would come of."""
    if server.is_named and server.is_left_out:
        raise typer.BadParameter(
            "workers are no server: leave --command and --port out", param_hint="--workers"
        )
    if server.is_named and "command" not in exporter.programs:
        raise typer.BadParameter(
            f"{exporter.name} starts no server: leave it out", param_hint="--command or --port"
        )


def _launch(exporter: Exporter, plan: Plan, server: _Server, *, plan_path: str) -> Launch:
    """What is to be started of the plan: the server that is named here, the study's, or the workers."""
    from autotune.exporters.exporting import launch_for
    from autotune.plan.launch import server_of

    spec = server_of(plan, server.command, server.port)
    has_command = spec is not None and spec.command is not None
    if server.port is not None and exporter.is_starting and not has_command:
        raise typer.BadParameter("it is the port of a server: give its command, too", param_hint="--port")
    return launch_for(exporter, plan, spec, plan_path=plan_path, workers=server.is_left_out)


def _plan_path(folder: str) -> str:
    """Where plan.json is written; empty where it is not."""
    from autotune.plan.launch import PLAN_FILE

    return "" if folder == STDOUT else str(Path(folder).absolute() / PLAN_FILE)


def _refuse_beside_bundle(to: str, folder: str) -> None:
    """Refuse a target or a folder beside a bundle, which is written by itself."""
    if to or folder != STDOUT:
        raise typer.BadParameter("it is written by itself: leave --to and -o out", param_hint="--bundle")


def _write_bundle(plan: Plan, bundle: str, *, force: bool) -> Path:
    """Write a plan with all that it is served with; give where."""
    from autotune.bundle.write import write_bundle

    with _ended_as_by_ctrl_c():
        return write_bundle(plan, Path(bundle), force=force)


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Have SIGTERM end what runs as Ctrl-C does, so that nothing half written stays behind."""
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _refuse_json_of_stdout(folder: str, *, as_json: bool) -> None:
    """Refuse to print paths where the file itself goes to stdout."""
    if as_json and folder == STDOUT:
        raise typer.BadParameter("the file itself goes to stdout: give -o DIR with it", param_hint="--json")


def _exporter(to: str) -> Exporter:
    """Find the target, which must be named."""
    from autotune.exporters.registry import get_exporter

    if not to:
        raise typer.BadParameter("name a target, such as numactl; or give --bundle", param_hint="--to")
    return get_exporter(to)


def _print_written(written: Sequence[Path], *, as_json: bool) -> None:
    """Print the paths of what was written."""
    if as_json:
        output.result_json([str(path) for path in written])
    else:
        output.result_text("\n".join(str(path) for path in written))


def _print_options(exporter: Exporter, *, as_json: bool) -> None:
    """Print what `--set` takes for a target, and what the target keeps of a plan."""
    from dataclasses import asdict

    from autotune.exporters.options import option_rows
    from autotune.exporters.protocol import PARTS

    rows = list(option_rows(exporter))
    if as_json:
        output.result_json({"options": [asdict(row) for row in rows], "keeps": asdict(exporter.keeps)})
        return
    output.result_text(f"{exporter.name}: {exporter.summary}\n")
    output.result_table(
        "", ("option", "default", "meaning"), [(row.name, row.usual, row.meaning) for row in rows]
    )
    kept = [(words, exporter.keeps.of(part)) for part, words in PARTS.items()]
    output.result_table("", ("part of the plan", "kept"), kept)
