"""The fleet calculator: a rate and a limit in, machines and money out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from fastapi import Request, Response

from autotune.errors import AutotuneError, RequestError
from autotune.fleet.words import fleet_headline, fleet_rows, fleet_sentences
from autotune.plan.document import Plan
from autotune.service.access import MayRead
from autotune.service.context import Context, InContext
from autotune.service.pages.plan_list import plan_choices
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router
from autotune.service.sizing import TypedWorkload, size_typed
from autotune.units import format_latency

router = page_router()

PERCENTILES: Final = ("50", "90", "95", "99")


@router.get("/fleet")
def fleet(request: Request, context: InContext, _: MayRead) -> Response:
    """Show the calculator, with what comes of the values in the address."""
    return render(request, "fleet.html", **_shown(context, request.query_params))


@router.get("/fleet/part")
def fleet_part(request: Request, context: InContext, _: MayRead) -> Response:
    """Give what comes of the values alone."""
    return render(request, "parts/fleet.html", **_shown(context, request.query_params))


def _shown(context: Context, asked: Mapping[str, str]) -> dict[str, Any]:
    choices = plan_choices(context)
    ref = asked.get("plan") or (choices[0].id if choices else "")
    shown: dict[str, Any] = {
        "choices": choices,
        "percentiles": PERCENTILES,
        "plan_id": ref,
        "typed": {},
        "error": None,
        "wrong": "",
        "headline": "",
        "rows": [],
        "sentences": [],
        "plan": None,
        "basis": "",
    }
    if not ref:
        return shown
    try:
        plan = context.store.plan(ref)
        typed = _typed(plan, asked)
        shown |= {"plan": plan, "typed": asdict(typed)}
        return shown | _answer(plan, typed)
    except AutotuneError as error:
        wrong = error.path if isinstance(error, RequestError) else ""
        return shown | {"error": error, "wrong": wrong}


def _answer(plan: Plan, typed: TypedWorkload) -> dict[str, Any]:
    sized = size_typed(plan, typed)
    return {
        "headline": fleet_headline(sized.fleet),
        "rows": list(fleet_rows(sized.fleet, sized.between)),
        "sentences": list(fleet_sentences(sized.capability, sized.fleet, sized.between, None)),
        "basis": sized.capability.in_words,
    }


def _typed(plan: Plan, asked: Mapping[str, str]) -> TypedWorkload:
    """Give what is typed; what is not, as it is usual for the plan."""
    usual = _usual(plan)
    names = [field.name for field in fields(TypedWorkload)]
    return TypedWorkload(**{name: asked[name] if name in asked else usual[name] for name in names})


def _usual(plan: Plan) -> dict[str, str]:
    """Give values to begin with: ten times what one machine serves, within a latency that it keeps to."""
    stated = plan.study.stated("limits", "latency")
    batch = plan.study.stated("problem", "batch_size") or 1
    rate = max(1, round(10 * plan.estimate.throughput_sps / int(batch)))
    percentile, latency_s = "99", 0.1
    if isinstance(stated, dict) and "max_s" in stated:
        percentile, latency_s = f"{stated.get('percentile', 99):g}", float(stated["max_s"])
    else:
        known = [one for one in plan.estimate.latencies if one.value_s is not None]
        if known:
            latency_s = 3 * (known[-1].value_s or latency_s)
    return {
        "rate": f"{rate}/s",
        "percentile": percentile,
        "latency": format_latency(latency_s),
        "headroom": "30%",
        "spare": "1",
        "zones": "1",
        "price": "",
    }
