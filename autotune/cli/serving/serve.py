"""`autotune serve`: the HTTP service and its pages, and the tokens of who may use it."""

from __future__ import annotations

import importlib.util
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autotune.cli import output
from autotune.cli.asked_plan import StoreUrl
from autotune.cli.serving.tokens import State, token
from autotune.errors import ServiceError

if TYPE_CHECKING:
    from autotune.service.settings import ServiceSettings

NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
"""Packages of the extra `service`."""

serve = typer.Typer(
    invoke_without_command=True, help="Serve autotune over HTTP on this machine, with pages for browsers."
)
serve.add_typer(token, name="token")


class AskedLogFormat(StrEnum):
    """How the log is written."""

    TEXT = "text"
    JSON = "json"


ListenHost = Annotated[str, typer.Option(help="Address to listen on.")]
ListenPort = Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes one that is free.")]
Roots = Annotated[
    list[Path] | None,
    typer.Option("--root", metavar="DIR", help="Folder in which models and texts may lie. May be repeated."),
]
Hub = Annotated[bool, typer.Option("--hub", help="Let jobs download models from the hub.")]
Commands = Annotated[
    bool, typer.Option("--allow-commands", help="Let studies say how a server of your own is started.")
]
Cpus = Annotated[
    str, typer.Option(metavar="LIST", help="Cpus of the service; what is measured gets the others.")
]
Public = Annotated[bool, typer.Option("--public", help="Listen where other machines reach it.")]
TlsCertificate = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Certificate of TLS, with its chain (PEM).")
]
TlsKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Key of the certificate (PEM).")]
Proxies = Annotated[
    list[str] | None,
    typer.Option(
        "--behind-proxy",
        metavar="ADDRESS",
        help="Address or network of a proxy that speaks TLS. May be repeated.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="HOST", help="Name under which browsers reach it. May be repeated."),
]
WebhookHosts = Annotated[
    list[str] | None,
    typer.Option("--webhook-host", metavar="HOST", help="Host that may be told of results. May be repeated."),
]
Clients = Annotated[int, typer.Option(min=1, help="Event streams at once, at most.")]
StopJobs = Annotated[
    bool,
    typer.Option("--stop-jobs", help="At the end, stop the job that runs; it goes on at the next start."),
]
Dashboard = Annotated[bool, typer.Option("--dashboard", help="Show Optuna's own dashboard, too, read-only.")]
LogForm = Annotated[AskedLogFormat, typer.Option("--log-format", help="Form of the log on stderr.")]


@serve.callback()
def run(
    context: typer.Context,
    *,
    store: StoreUrl = "sqlite:///autotune.db",
    host: ListenHost = "127.0.0.1",
    port: ListenPort = 8787,
    state: State = Path(".autotune"),
    roots: Roots = None,
    hub: Hub = False,
    commands: Commands = False,
    cpus: Cpus = "",
    public: Public = False,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    proxies: Proxies = None,
    names: Names = None,
    webhook_hosts: WebhookHosts = None,
    clients: Clients = 200,
    stop_jobs: StopJobs = False,
    dashboard: Dashboard = False,
    log_format: LogForm = AskedLogFormat.TEXT,
) -> None:
    """Serve autotune over HTTP: tune, watch and take plans away from a browser or a pipeline.

    Prints one link, which signs your browser in, once. SIGTERM or Ctrl-C ends it within 10 s.
    A job that runs then goes on by itself.
    """
    _check_installed()
    if context.invoked_subcommand is not None:
        return
    from autotune.service.settings import ServiceSettings

    settings = ServiceSettings(
        store=store,
        host=host,
        port=port,
        state=state,
        roots=tuple(folder.absolute() for folder in roots or ()),
        hub=hub,
        cpus=cpus,
        certificate=tls_certificate,
        key=tls_key,
        proxies=tuple(proxies or ()),
        names=tuple(names or ()),
        webhook_hosts=tuple(webhook_hosts or ()),
        clients=clients,
        stop_jobs=stop_jobs,
        public=public,
        commands=commands,
        dashboard=dashboard,
    )
    _serve(settings, log_format)


def _serve(settings: ServiceSettings, log_format: AskedLogFormat) -> None:
    from autotune.service.running import run_service

    def tell(link: str) -> None:
        output.result_text(link)
        if log_format is AskedLogFormat.TEXT:
            output.message("Open this link in your browser; it works once. Ctrl-C ends the service.")

    run_service(settings, log_format=log_format.value, on_ready=tell)


def _check_installed() -> None:
    missing = [package for package in NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        packages = " ".join(package.replace("_", "-") for package in missing)
        raise ServiceError(
            f"the service needs {packages}", remedy=f"install what it needs: pip install {packages}"
        )
