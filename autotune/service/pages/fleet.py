"""The fleet calculator: a rate and a limit in, machines and money out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response

from autotune.errors import AutotuneError, RequestError
from autotune.fleet.answers import answer_fleet
from autotune.fleet.words import fleet_headline, fleet_rows, fleet_sentences
from autotune.plan.document import Plan
from autotune.service.access import MayRead
from autotune.service.context import Context, InContext
from autotune.service.fleet_asked import PERCENTILES, read_price, read_workload
from autotune.service.pages.plan_list import plan_choices
from autotune.service.pages.rendering import render
from autotune.service.pages.routing import page_router
from autotune.units import format_latency

router = page_router()

FIELDS: Final = ("rate", "percentile", "latency", "headroom", "spare", "zones", "price")


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
        "percentiles": tuple(PERCENTILES),
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
        typed = _usual(plan) | {name: asked[name] for name in FIELDS if name in asked}
        shown |= {"plan": plan, "typed": typed}
        return shown | _answer(plan, typed)
    except AutotuneError as error:
        wrong = error.path if isinstance(error, RequestError) else ""
        return shown | {"error": error, "wrong": "latency" if wrong in PERCENTILES else wrong}


def _answer(plan: Plan, typed: Mapping[str, str]) -> dict[str, Any]:
    percentile = typed["percentile"] if typed["percentile"] in PERCENTILES else "p99"
    asked = {
        "rate": typed["rate"].strip(),
        percentile: typed["latency"].strip(),
        "headroom": typed["headroom"].strip(),
        "spare": _whole("spare", typed["spare"]),
        "zones": _whole("zones", typed["zones"]),
        "price": typed["price"].strip() or None,
    }
    sized = answer_fleet(plan, read_workload(asked), read_price(asked), replay=False)
    return {
        "headline": fleet_headline(sized.fleet),
        "rows": list(fleet_rows(sized.fleet, sized.between)),
        "sentences": list(fleet_sentences(sized.capability, sized.fleet, sized.between, None)),
        "basis": sized.capability.in_words,
    }


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RequestError(
            f"{text!r:.40} is no whole number", path=name, remedy="write one such as 1"
        ) from None


def _usual(plan: Plan) -> dict[str, str]:
    """Give values to begin with: ten times what one machine serves, within a latency that it keeps to.

    That is the study's limit, or else three times the highest percentile that the plan's requests tell.
    """
    stated = plan.study.stated("limits", "latency")
    batch = plan.study.stated("problem", "batch_size") or 1
    rate = float(f"{10 * plan.estimate.throughput_sps / int(batch):.2g}")
    percentile, latency_s = "p50", 0.1
    if isinstance(stated, dict) and "max_s" in stated:
        limited = f"p{stated.get('percentile', 99):g}"
        percentile, latency_s = limited if limited in PERCENTILES else "p99", float(stated["max_s"])
    else:
        for told in plan.estimate.latencies:
            if told.value_s is not None and f"p{told.percentile:g}" in PERCENTILES:
                percentile, latency_s = f"p{told.percentile:g}", 3 * told.value_s
    return {
        "rate": f"{rate:.12g}/s",
        "percentile": percentile,
        "latency": format_latency(latency_s),
        "headroom": "30%",
        "spare": "1",
        "zones": "1",
        "price": "",
    }
