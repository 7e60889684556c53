"""What came of a service's job: printed as its own command prints it, with that command's exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autotune import errors
from autotune.cli import exits, output
from autotune.errors import AutotuneError, JobError

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


def ended(client: Client, job: dict[str, Any], *, plan_file: Path | None, as_json: bool) -> int:
    """Print what came of a job that has ended, and give its command's exit code.

    Raises:
        AutotuneError: the job failed: the error that its command would have ended with.
    """
    if job["state"] == "failed":
        raise _fault(job)
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
        output.result_text("\n".join(_verdict_lines(result)))
    return CODES[result["verdict"]]


def _fault(job: dict[str, Any]) -> AutotuneError:
    """The error that a job ended with; what is none of ours is the job's."""
    fault = job.get("fault") or {}
    kind = getattr(errors, str(fault.get("kind")), None)
    known = kind if isinstance(kind, type) and issubclass(kind, AutotuneError) else JobError
    problem = str(fault.get("problem") or f"the job {job['id']} failed, and nobody knows why")
    return known(problem, remedy=str(fault.get("remedy") or ""))


def _print_plan(client: Client, job: dict[str, Any], plan_file: Path | None, *, as_json: bool) -> None:
    """Print a plan as `autotune tune` does, and keep its document where that is wanted."""
    import json

    from autotune.cli.winner import plan_lines
    from autotune.plan.document import parse_plan

    document = client.plan(job["plan"])
    if plan_file is not None:
        plan_file.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    plan = parse_plan(json.dumps(document))
    for warning in plan.warnings:
        output.message(f"warning: {warning}")
    if as_json:
        output.result_json(document)
        return
    lines = [*plan_lines(plan), f"stored in {client.url}"]
    if plan_file is None:
        lines.append(f"next: autotune watch {job['id']} --url {client.url} -o plan.json")
    file = plan_file or Path("plan.json")
    shown = str(file) if "/" in str(file) else f"./{file}"
    lines.append(f"{'next:' if plan_file else '     '} autotune export {shown} --to numactl -o launch/")
    output.result_text("\n".join(lines))


def _verdict_lines(result: dict[str, Any]) -> list[str]:
    """A verification or comparison in lines: the verdict, the figures, and what there is to say of them."""
    sides = f"plan {result['plan']}" if "plan" in result else f"A: {result['a']}, B: {result['b']}"
    sentences = [*result.get("notes", ()), *result.get("reasons", ()), result.get("quietness")]
    return [f"{result['verdict']}: {sides}", *filter(None, sentences)]
