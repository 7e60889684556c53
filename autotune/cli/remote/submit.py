"""`autotune submit`: ask a service for a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autotune.cli import output
from autotune.cli.remote.asked_service import (
    AsDocument,
    CertificateFile,
    PlainHttp,
    ServiceUrl,
    TokenFile,
    connect,
)
from autotune.cli.remote.ended import PlanFile, check_plan_file


def submit(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study file (YAML).")],
    *,
    url: ServiceUrl = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show its progress until it has ended, as `autotune tune` does.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Names this request: asking again with it gives the same job."),
    ] = None,
    priority: Annotated[
        int,
        typer.Option(
            metavar="N", min=-100, max=100, help="Begin it before all jobs with a lower number (-100 to 100)."
        ),
    ] = 0,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Have it checked, and print what would be tried there; ask for no job."
        ),
    ] = False,
    plan_file: PlanFile = None,
    token_file: TokenFile = None,
    ca: CertificateFile = None,
    plain_http: PlainHttp = False,
    as_json: AsDocument = False,
) -> None:
    """Have a service tune a model on its machine; the job goes on there, whatever happens here.

    Model and files are named as the service finds them. With --watch the exit code is the one that
    `autotune tune` would end with.
    """
    from autotune.cli.remote.watch import watch_job

    if plan_file is not None and not watch:
        raise typer.BadParameter(
            "there is no plan before the job has ended: add --watch", param_hint="--output"
        )
    check_plan_file(plan_file)
    with connect(url, token_file, ca, plain_http) as client:
        if dry_run:
            _print_outlook(client.validate(study), as_json=as_json)
            return
        job = client.submit(study, key=key, priority=priority)
        if watch:
            output.message(f"job {job['id']}, on {client.url}")
            raise typer.Exit(watch_job(client, job["id"], plan_file=plan_file, as_json=as_json))
    if as_json:
        output.result_json(job)
    else:
        output.result_text(job["id"])
        output.message(f"watch it: autotune watch {job['id']} --url {client.url}")


def _print_outlook(outlook: dict[str, object], *, as_json: bool) -> None:
    lines = outlook.get("lines")
    if as_json or not isinstance(lines, list):
        output.result_json(outlook)
    elif outlook.get("skipped"):
        output.result_text(f"the study is right; what it would try is not known: {outlook['skipped']}")
    else:
        output.result_text("\n".join(map(str, lines)))
