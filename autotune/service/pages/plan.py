"""One plan: what it runs and where, how much better it is and how surely, and what to do with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response

from autotune.objectives.catalogue import objective_named
from autotune.plan.claims import format_range
from autotune.plan.cost_words import cost_rows, cost_sentences
from autotune.plan.costs import stated_costs
from autotune.plan.curve_words import COLUMNS, curve_rows
from autotune.plan.describe import (
    configuration_facts,
    confirmation_sentences,
    evidence_rows,
    format_estimate,
    placement_rows,
    provenance_facts,
    quality_facts,
    requests_facts,
    rival_rows,
    search_facts,
)
from autotune.plan.document import Plan
from autotune.report.verdict import headline
from autotune.service.access import MayRead, MayTune
from autotune.service.api.event_stream import InFeeds
from autotune.service.asking import Asker, ask_verify, read_key
from autotune.service.context import Context, InContext
from autotune.service.pages.charts.intervals import gains_chart
from autotune.service.pages.charts.placement import placement_picture
from autotune.service.pages.exports import target_cards
from autotune.service.pages.forms import InForm
from autotune.service.pages.job_words import KINDS, STATES, outcome_words, whole_jobs
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router, see
from autotune.store.job_records import ENDED, JobRecord
from autotune.store.standings import standing

router = page_router()

JOBS: Final = 10
ACTIVE: Final = 30
"""So many jobs that wait or run are looked at for those with this plan."""

VERDICTS: Final[Mapping[str, str]] = {
    "holds": "It still holds what it states",
    "better": "It is better than it states",
    "worse": "It got worse than it states: tune again",
    "stale": "The machine or the versions are others than when it was measured: tune again",
}
"""What the newest verification has shown, by its verdict."""


@router.get("/plans/{plan_id}")
def plan(request: Request, context: InContext, _: MayRead, plan_id: str) -> Response:
    """Show a plan."""
    found = context.store.plan(plan_id)
    if found.id != plan_id:
        return see(f"/plans/{found.id}")
    return render(request, "plan.html", **_shown(context, found))


@router.post("/plans/{plan_id}/verify")
def verify(
    request: Request, context: InContext, feeds: InFeeds, _: MayTune, plan_id: str, form: InForm
) -> Response:
    """Ask for a plan to be run again, and show the job."""
    asker = Asker(getattr(request.state, "token_name", ""), key=read_key(form.get("key") or None))
    job, is_new = ask_verify(context, plan_id, asker)
    if is_new:
        feeds.changed(job.id)
    return see(f"/jobs/{job.id}")


def _shown(context: Context, found: Plan) -> dict[str, Any]:
    costs = stated_costs(found)
    jobs = _jobs(context, found.id)
    return {
        "plan": found,
        "verdicts": VERDICTS,
        "standing": standing(context.store, found.id),
        "headline": headline(found),
        "figures": plan_figures(found),
        "facts": list(configuration_facts(found)),
        "picture": placement_picture(found),
        "gains": gains_chart(found),
        "placement": list(placement_rows(found)),
        "evidence": list(evidence_rows(found)),
        "curve": [COLUMNS, *curve_rows(found.curve)] if found.curve else [],
        "costs": list(cost_rows(costs)) if costs else [],
        "cost_sentences": list(cost_sentences(costs)) if costs else [],
        "quality": list(quality_facts(found.quality)) if found.quality else [],
        "requests": list(requests_facts(found.requests)) if found.requests else [],
        "confirmation": list(confirmation_sentences(found)),
        "rivals": list(rival_rows(found)) if found.confirmation.rivals else [],
        "searched": list(search_facts(found)),
        "provenance": list(provenance_facts(found)),
        "values": json.dumps(found.study.spec, indent=2, ensure_ascii=False, default=str),
        "origin": context.store.origin(found.id),
        "is_stored_study": context.store.find_study(found.study.name) is not None,
        "targets": target_cards(found),
        "jobs": [(job, outcome_words(job)) for job in jobs],
        "kinds": KINDS,
        "states": STATES,
    }


def _jobs(context: Context, plan_id: str) -> list[JobRecord]:
    """Read the jobs with a plan, newest first: those that wait or run, and those that ended."""
    active = whole_jobs(context, context.queue.jobs(states=("queued", "running"), limit=ACTIVE))
    asked = [job for job in active if plan_id in (job.request.values.get(key) for key in ("plan", "a", "b"))]
    return [*asked, *whole_jobs(context, context.queue.jobs(plan=plan_id, states=ENDED, limit=JOBS))]


def plan_figures(found: Plan) -> list[tuple[str, str, str]]:
    """Give the figures at the head of a plan: what each is, its value, and what stands below."""
    chosen, objective = found.configuration, objective_named(found.objective)
    span = found.estimate.objective_range
    between = "" if span is None else f"95 %: {objective.format(span.low)} to {objective.format(span.high)}"
    threads = chosen.threads_per_instance or "default"
    figures = [(objective.title, format_estimate(found.objective, found.estimate), between)]
    if found.gain is not None and not found.is_baseline:
        sure = f"95 %: {format_range(found.gain_range)}" if found.gain_range else "its interval is not known"
        figures.append(("gain over the baseline", f"{found.gain:.2f}x", sure))
    default = found.confirmation.default
    if default is not None and default.ratio is not None and default.said != "plan":
        sure = f"95 %: {format_range(default.ratio_range)}" if default.ratio_range else ""
        figures.append(("beside the best default", f"{default.ratio:.2f}x", sure))
    figures.append(
        ("instances × threads", f"{chosen.instances} × {threads}", f"{chosen.backend}, {chosen.precision}")
    )
    return figures
