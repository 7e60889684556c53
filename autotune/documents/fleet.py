"""A fleet, and a choice among plans, as documents."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, Final

from autotune.fleet.answers import FleetAnswer
from autotune.fleet.choice import Choice, Offer
from autotune.fleet.sizing import Fleet, FleetCost, Outage
from autotune.fleet.uncertainty import FleetRange
from autotune.fleet.workload import Workload

FLEET_SCHEMA: Final = "autotune.fleet/1"
CHOICE_SCHEMA: Final = "autotune.choice/1"


def fleet_document(answer: FleetAnswer) -> dict[str, Any]:
    """Write a fleet as one JSON document; `interval` is null where no interval of the speed is known."""
    between, check = answer.between, answer.check
    return {
        "schema": FLEET_SCHEMA,
        "plan": answer.plan.id,
        "workload": workload_document(answer.fleet.workload),
        "basis": answer.capability.basis,
        **_fleet(answer.fleet),
        "interval": None if between is None else _interval(between),
        "check": None if check is None else {**asdict(check), "agrees": check.agrees},
    }


def choice_document(choice: Choice) -> dict[str, Any]:
    """Write a choice among plans as one JSON document."""
    return {
        "schema": CHOICE_SCHEMA,
        "workload": workload_document(choice.workload),
        "budget_per_month": choice.budget_per_month,
        "ranked_by": "cost" if choice.by_price else "cores",
        "chosen": choice.chosen.plan.id,
        "interval": None if choice.between is None else _interval(choice.between),
        "rivals": list(choice.rivals),
        "offers": [_offer(offer) for offer in choice.offers],
    }


def workload_document(workload: Workload) -> dict[str, Any]:
    """Write what is to be served as JSON."""
    return asdict(workload)


def _offer(offer: Offer) -> dict[str, Any]:
    plan = offer.plan
    return {
        "plan": plan.id,
        "study": plan.study.name,
        "model": plan.model.get("source"),
        "machine": {name: plan.machine.get(name) for name in ("model_name", "fingerprint")},
        "basis": None if offer.capability is None else offer.capability.basis,
        "least_latency_s": offer.least_s,
        "cores": offer.cores,
        "efficient": offer.is_efficient,
        "lacks": offer.lacks or None,
        "unpriced": offer.unpriced or None,
        "fleet": None if offer.fleet is None else _fleet(offer.fleet),
    }


def _fleet(fleet: Fleet) -> dict[str, Any]:
    return {
        "machines": fleet.machines,
        "needed": fleet.needed,
        "bare": fleet.bare,
        "machine": {
            "rate_per_s": fleet.bearable.rate_per_s,
            "utilisation": fleet.bearable.utilisation,
            "capacity_per_s": fleet.bearable.capacity_per_s,
            "within_measured_rates": fleet.bearable.is_measured,
            "disputed": fleet.bearable.is_disputed,
            "edge": None if fleet.bearable.edge is None else asdict(fleet.bearable.edge),
        },
        "utilisation": fleet.utilisation,
        "latency_s": _finite(fleet.latency_s),
        "losses": [_loss(loss) for loss in fleet.losses],
        "cost": None if fleet.cost is None else _cost(fleet.cost),
    }


def _interval(between: FleetRange) -> dict[str, Any]:
    """Write the fleets of both ends of the speed's interval; null where there is none that suffices."""
    speed = between.speed
    return {
        "speed": {"low": speed.low, "high": speed.high, "launches": speed.runs},
        "slow": None if between.slow is None else _end(between.slow),
        "fast": None if between.fast is None else _end(between.fast),
    }


def _end(fleet: Fleet) -> dict[str, Any]:
    return {
        "machines": fleet.machines,
        "rate_per_s": fleet.bearable.rate_per_s,
        "cost": None if fleet.cost is None else _cost(fleet.cost),
    }


def _cost(cost: FleetCost) -> dict[str, Any]:
    return {
        "currency": cost.currency,
        "machine": asdict(cost.price),
        "per_hour": cost.per_hour,
        "per_month": cost.per_month,
        "per_billion_requests": cost.per_billion,
        "per_billion_requests_of_full_machines": cost.per_billion_full,
    }


def _loss(loss: Outage) -> dict[str, Any]:
    return {
        "what": loss.what,
        "machines": loss.machines,
        "left": loss.left,
        "utilisation": _finite(loss.utilisation),
        "latency_s": _finite(loss.latency_s),
        "met": loss.is_met,
    }


def _finite(value: float) -> float | None:
    """Give a number that JSON has; None of a queue that grows without end."""
    return value if math.isfinite(value) else None
