"""Two plans beside each other: what is known of both, and runs of both that tell which is faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request, Response

from autotune.errors import AutotuneError, RequestError
from autotune.objectives.catalogue import objective_named
from autotune.plan.claims import format_range
from autotune.plan.describe import evidence_rows, format_estimate
from autotune.plan.document import Plan
from autotune.service.access import MayRead, MayTune
from autotune.service.api.event_stream import InFeeds
from autotune.service.asking import Asker, ask_compare, read_key
from autotune.service.context import Context, InContext
from autotune.service.pages.forms import InForm
from autotune.service.pages.job_words import STATES, comparison_sides, outcome_words, whole_jobs
from autotune.service.pages.plan_list import plan_choices
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router, see

router = page_router()

JOBS: Final = 10


@router.get("/compare")
def compare(request: Request, context: InContext, _: MayRead, a: str = "", b: str = "") -> Response:
    """Show two plans beside each other, and what comparisons have found."""
    return render(request, "compare.html", **_shown(context, a, b))


@router.post("/compare")
def ask(request: Request, context: InContext, feeds: InFeeds, _: MayTune, form: InForm) -> Response:
    """Ask for both to be run beside each other, and show the job."""
    a, b = form.get("a", ""), form.get("b", "")
    if not a or not b or a == b:
        raise RequestError(
            "a comparison takes two different plans", path="b", remedy="choose two on /compare"
        )
    asker = Asker(getattr(request.state, "token_name", ""), key=read_key(form.get("key") or None))
    job, is_new = ask_compare(context, a, b, asker)
    if is_new:
        feeds.changed(job.id)
    return see(f"/jobs/{job.id}")


def _shown(context: Context, a: str, b: str) -> dict[str, Any]:
    choices = plan_choices(context)
    problem = ""
    try:
        sides = [context.store.plan(ref) for ref in (a, b) if ref]
    except AutotuneError as error:
        sides, problem = [], error.problem
    jobs = whole_jobs(context, context.queue.jobs(kind="compare", limit=JOBS))
    return {
        "choices": choices,
        "a": a,
        "b": b,
        "problem": problem,
        "rows": side_by_side(sides) if len(sides) == 2 else [],
        "jobs": [(job, comparison_sides(job), outcome_words(job)) for job in jobs],
        "states": STATES,
    }


def side_by_side(sides: Sequence[Plan]) -> list[tuple[str, ...]]:
    """Give a row for each fact of plans, with a column for each."""
    rows = [
        ("study", *(plan.study.name or "unknown" for plan in sides)),
        ("configuration", *(str(plan.configuration) for plan in sides)),
        ("model", *(str(plan.model.get("source", "unknown")) for plan in sides)),
        ("objective", *(objective_named(plan.objective).title for plan in sides)),
        ("value", *(format_estimate(plan.objective, plan.estimate) for plan in sides)),
        ("gain over its baseline", *(_gain(plan) for plan in sides)),
    ]
    figures = [{row[0]: row[1] for row in evidence_rows(plan)} for plan in sides]
    names = [name for name in figures[0] if name and all(name in one for one in figures)]
    rows += [(name, *(one[name] for one in figures)) for name in names]
    rows.append(("machine", *(str(plan.machine.get("model_name") or "unknown") for plan in sides)))
    return rows


def _gain(plan: Plan) -> str:
    if plan.gain is None:
        return "not known"
    return f"{plan.gain:.2f}x" + (f" (95 %: {format_range(plan.gain_range)})" if plan.gain_range else "")
