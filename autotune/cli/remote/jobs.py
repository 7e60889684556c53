"""`autotune status`, `cancel` and `resume`: the jobs of a service."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from autotune.cli import output
from autotune.cli.remote.asked_service import (
    AsDocument,
    AskedJob,
    CertificateFile,
    PlainHttp,
    ServiceUrl,
    TokenFile,
    connect,
)
from autotune.cli.remote.ended import verdict_lines

COLUMNS = ("job", "kind", "study", "state", "priority", "asked", "started", "ended", "by")


def status(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="A job's id; without it, all are listed.")
    ] = None,
    *,
    url: ServiceUrl = None,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="List only the jobs of this study.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="List so many at most.")] = 20,
    token_file: TokenFile = None,
    ca: CertificateFile = None,
    plain_http: PlainHttp = False,
    as_json: AsDocument = False,
) -> None:
    """List the jobs of a service, newest first, or say how one stands."""
    with connect(url, token_file, ca, plain_http) as client:
        if job is not None:
            found = client.job(job)
            place = _place(found, client.queue()) if found["state"] == "queued" and not as_json else ""
            _print(found, as_json=as_json, place=place)
            return
        jobs = client.jobs(study=study, limit=limit)
    if as_json:
        output.result_json(jobs)
    elif jobs:
        output.result_table("", COLUMNS, map(_row, jobs))
    elif study is not None:
        output.message(f"there are no jobs of the study {study}; without --study all jobs are listed")
    else:
        output.message("there are no jobs: ask for one with `autotune submit STUDY.yaml`")


def cancel(
    job: AskedJob,
    *,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    ca: CertificateFile = None,
    plain_http: PlainHttp = False,
    as_json: AsDocument = False,
) -> None:
    """End a job of a service early; what it has measured is kept, and `resume` lets it go on."""
    with connect(url, token_file, ca, plain_http) as client:
        _print(client.cancel(job), as_json=as_json)


def resume(
    job: AskedJob,
    *,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    ca: CertificateFile = None,
    plain_http: PlainHttp = False,
    as_json: AsDocument = False,
) -> None:
    """Let a job of a service that was cancelled or failed go on from where it was."""
    with connect(url, token_file, ca, plain_http) as client:
        _print(client.resume(job), as_json=as_json)


def _print(job: dict[str, Any], *, as_json: bool, place: str = "") -> None:
    if as_json:
        output.result_json(job)
    else:
        output.result_text("\n".join(_lines(job, place)))


def _place(job: dict[str, Any], queue: dict[str, Any]) -> str:
    """Say what a job waits for; empty where it waits for no job of this machine's."""
    from autotune.units import format_count

    before = [waiting["id"] for waiting in queue["waiting"]]
    if job["id"] not in before:
        return ""
    number, running = before.index(job["id"]), queue["running"]
    waits = f"it waits for {format_count(number, 'other job')}" if number else "it is the next one"
    return waits if running is None else f"{waits}; {running['id']} of {running['study']} runs"


def _lines(job: dict[str, Any], place: str) -> list[str]:
    """How a job stands, in lines."""
    stopping = ", and is just being stopped" if job["state"] == "running" and job.get("stop_asked") else ""
    lines = [f"job {job['id']}: {job['kind']} of {job['study']}, {job['state']}{stopping}"]
    times = [f"{name} {_time(job.get(f'{name}_s'))}" for name in ("asked", "started", "ended")]
    lines.append(", ".join(text for text in times if not text.endswith(" ")))
    lines += [place] if place else job.get("standing", [])
    if job.get("plan"):
        lines.append(f"plan {job['plan']}")
    if result := job.get("result"):
        lines += verdict_lines(result)
    if fault := job.get("fault"):
        lines += [fault["problem"], *filter(None, [fault.get("remedy")])]
    return lines


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    times = (_time(job.get(f"{name}_s")) for name in ("asked", "started", "ended"))
    named = (str(job[name]) for name in ("id", "kind", "study", "state", "priority"))
    return (*named, *times, str(job.get("asked_by", "")))


def _time(moment_s: float | None) -> str:
    from autotune.plan.formats import format_time

    return "" if moment_s is None else format_time(moment_s)
