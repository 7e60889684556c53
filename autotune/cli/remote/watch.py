"""`autotune watch`: see a job of a service run, as `autotune tune` shows its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autotune.cli import exits, output
from autotune.cli.remote.asked_service import (
    AsDocument,
    AskedJob,
    CertificateFile,
    PlainHttp,
    ServiceUrl,
    TokenFile,
    connect,
)
from autotune.cli.remote.ended import PlanFile, check_plan_file

if TYPE_CHECKING:
    from autotune.client.client import Client


def watch(
    job: AskedJob,
    *,
    url: ServiceUrl = None,
    plan_file: PlanFile = None,
    token_file: TokenFile = None,
    ca: CertificateFile = None,
    plain_http: PlainHttp = False,
    as_json: AsDocument = False,
) -> None:
    """Show a job's progress from its first event on, until it has ended, and what came of it.

    The exit code is the one that the same command would end with on that machine. Ctrl-C ends the
    watching and leaves the job alone.
    """
    check_plan_file(plan_file)
    with connect(url, token_file, ca, plain_http) as client:
        raise typer.Exit(watch_job(client, job, plan_file=plan_file, as_json=as_json))


def watch_job(client: Client, job_id: str, *, plan_file: Path | None, as_json: bool) -> int:
    """Show a job until it has ended, print what came of it, and give the exit code of that.

    Raises:
        AutotuneError: the service refuses, or stays out of reach; or the job failed, with its own error.
    """
    from autotune.cli.progress import show, show_of_duel
    from autotune.cli.remote.ended import ended

    try:
        found = client.job(job_id)
        if found["state"] == "queued":
            output.status(f"the job {job_id} waits for its turn")
        show_event = show if found["kind"] == "tune" else show_of_duel
        for event in client.watch(job_id):
            show_event(event)
    except KeyboardInterrupt:
        output.message(f"the job {job_id} goes on; to end it: autotune cancel {job_id} --url {client.url}")
        return exits.INTERRUPTED
    return ended(client, client.job(job_id), plan_file=plan_file, as_json=as_json)
