"""What a plan costs as a document."""

from __future__ import annotations

from typing import Any, Final

from autotune.plan.costs import Bill, Figure, PlanCosts
from autotune.spec.machine_price import MachinePrice

SCHEMA: Final = "autotune.cost/1"


def cost_document(costs: PlanCosts, requests_per_s: float | None) -> dict[str, Any]:
    """Write what a plan, its baseline and each smaller machine cost as one JSON document.

    Args:
        requests_per_s: the rate that a month is told of; None = none.
    """
    return {
        "schema": SCHEMA,
        "plan": costs.plan.id,
        "price": _price(costs.price),
        "requests_per_s": requests_per_s,
        "bills": [_bill(bill, requests_per_s) for bill in costs.bills],
        "missing": [{"name": one.name, "why": one.missing} for one in costs.unbilled],
    }


def _bill(bill: Bill, requests_per_s: float | None) -> dict[str, Any]:
    return {
        "name": bill.name,
        "configuration": bill.configuration,
        "cores": bill.price.cores,
        "per_hour": bill.price.per_hour,
        "confirmed": bill.confirmed,
        "samples_per_s": _figure(bill.served_sps),
        "per_million_samples": _figure(bill.per_million),
        "per_request": _figure(bill.per_request),
        "month": None if requests_per_s is None else _month(bill, requests_per_s),
        "energy_j_per_million_samples": bill.energy_j_per_million,
    }


def _month(bill: Bill, requests_per_s: float) -> dict[str, Any]:
    month = bill.month(requests_per_s)
    return {"machines": _figure(month.machines), "cost": _figure(month.cost), "used": month.used}


def _figure(figure: Figure) -> dict[str, Any]:
    return {"estimate": figure.estimate, "low": figure.low, "high": figure.high}


def _price(price: MachinePrice) -> dict[str, Any]:
    return {
        "currency": price.currency,
        "per_hour": price.per_hour,
        "cores": price.cores,
        "per_core_hour": price.of_core_hour,
        "name": price.name,
        "table": price.table,
        "date": price.date,
    }
