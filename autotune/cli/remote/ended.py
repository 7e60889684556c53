"""What came of a service's job: printed as its own command prints it, with that command's exit code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autotune import errors
from autotune.cli import exits, output
from autotune.errors import AutotuneError, ExportError

if TYPE_CHECKING:
    from autotune.client.client import Client

PlanFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write the document of the plan that it gives there."
    ),
]

CODES = {
    **{"holds": 0, "better": 0, "worse": exits.WORSE, "stale": exits.STALE},
    **{"a": 0, "b": 0, "tie": 0, "undecided": exits.UNDECIDED},
}
"""By the verdict of a verification or a comparison."""


def check_plan_file(plan_file: Path | None) -> None:
    """Refuse a file that the plan could not be written to, before anybody waits hours for the plan.

    Raises:
        ExportError: it is a folder, or its folder is not there or may not be written to.
    """
    if plan_file is None:
        return
    if plan_file.is_dir() or not plan_file.parent.is_dir():
        what = "is a folder" if plan_file.is_dir() else f"lies in no folder: there is no {plan_file.parent}"
        raise ExportError(f"{str(plan_file)!r} {what}", remedy="give another file with --output")
    if not os.access(plan_file if plan_file.exists() else plan_file.parent, os.W_OK):
        raise ExportError(f"{str(plan_file)!r} may not be written", remedy="give another file with --output")


def ended(client: Client, job: dict[str, Any], *, plan_file: Path | None, as_json: bool) -> int:
    """Print what came of a job that has ended, and give its command's exit code.

    Raises:
        AutotuneError: the job failed: the error that its command would have ended with.
    """
    if job["state"] == "failed":
        error = _fault(job)
        if error is None:
            return _told_bug(job)
        raise error
    if job["state"] != "done":
        output.message(
            f"the job {job['id']} was cancelled; every finished trial is kept: "
            f"autotune resume {job['id']} --url {client.url} goes on from there"
        )
        if job["kind"] == "tune" and job.get("plan"):
            _print_plan(client, job, plan_file, as_json=as_json)
        return exits.INTERRUPTED
    if job["kind"] == "tune":
        _print_plan(client, job, plan_file, as_json=as_json)
        return 0
    result = job["result"]
    if as_json:
        output.result_json(result)
    else:
        output.result_text("\n".join(verdict_lines(result)))
    return CODES[result["verdict"]]


def _fault(job: dict[str, Any]) -> AutotuneError | None:
    """The error that a job ended with; None of one that is none of ours: a bug."""
    fault = job["fault"]
    kind = getattr(errors, str(fault["kind"]), None)
    if isinstance(kind, type) and issubclass(kind, AutotuneError):
        return kind(fault["problem"], remedy=fault["remedy"])
    return None


def _told_bug(job: dict[str, Any]) -> int:
    fault = job["fault"]
    output.error(str(AutotuneError(fault["problem"], remedy=fault["remedy"])))
    return exits.BUG


def _print_plan(client: Client, job: dict[str, Any], plan_file: Path | None, *, as_json: bool) -> None:
    """Print a plan as `autotune tune` does, and keep its document where that is wanted."""
    import json

    from autotune.cli.winner import print_found
    from autotune.documents.study import trial_of
    from autotune.measurement.measurement import FailureKind
    from autotune.plan.document import parse_plan
    from autotune.plan.study import spec_of

    document = client.plan(job["plan"])
    if plan_file is not None:
        plan_file.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    plan = parse_plan(json.dumps(document))
    for warning in plan.warnings:
        output.message(f"warning: {warning}")
    if as_json:
        output.result_json(document)
        return
    trials = client.trials(job["study"])
    refused = [
        f"trial {trial['number']}, {trial['in_words']}: {trial['reason']}"
        for trial in trials
        if trial["state"] == FailureKind.WRONG_OUTPUT
    ]
    file = plan_file or Path("plan.json")
    shown = str(file) if "/" in str(file) else f"./{file}"
    watching = f"autotune watch {job['id']} --url {client.url} -o {file}"
    exporting = f"autotune export {shown} --to numactl -o launch/"
    steps = [exporting] if plan_file else [watching, exporting]
    ending = [f"{'next:' if number == 0 else '     '} {step}" for number, step in enumerate(steps)]
    summaries = [trial_of(trial, job["study"]) for trial in trials]
    print_found(plan, spec_of(plan), summaries, refused, [f"stored in {client.url}", *ending])


def verdict_lines(result: dict[str, Any]) -> list[str]:
    """A verification or comparison in lines: the verdict, the figures, and what there is to say of them."""
    sides = f"plan {result['plan']}" if "plan" in result else f"A: {result['a']}, B: {result['b']}"
    sentences = [*result.get("notes", ()), *result.get("reasons", ()), result.get("quietness")]
    return [f"{result['verdict']}: {sides}", *filter(None, sentences)]
