"""What a machine costs that runs a plan: as somebody says now, or as the plan's study does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pydantic import ValidationError

from autotune.errors import MachineError, PlanError
from autotune.machine.cpus import parse_cpu_list
from autotune.plan.document import Plan
from autotune.spec.machine_price import MachinePrice
from autotune.spec.price import Price

FORMS: Final = "a price of one machine an hour, such as 0.808USD"
COMMAND_LINE: Final = "--price"
"""Where a price stands that somebody says now."""
MOST: Final = 1e9

_PRICE: Final = re.compile(r"^(?P<amount>[0-9]{1,10}(\.[0-9]{1,10})?) ?(?P<currency>[A-Z]{3})?$")

NO_PRICE: Final = (
    "No price is known: give what one machine costs an hour (--price 0.808USD), or `price` in the study file."
)


def parse_price(text: str) -> MachinePrice:
    """Read what one machine costs an hour: `0.808USD`, `0.808 EUR`, or `0.808` of US dollars.

    Raises:
        ValueError: the text is none.
    """
    match = _PRICE.match(text.strip())
    amount = float(match["amount"]) if match else 0.0
    if match is None or not 0 < amount <= MOST:
        raise ValueError(f"{text!r} is not {FORMS}")
    return MachinePrice(match["currency"] or "USD", amount, cores=1, table=COMMAND_LINE)


def plan_price(plan: Plan) -> MachinePrice | None:
    """Give what the cores cost that a plan takes, at its study's price; None where that states none.

    A machine that runs the plan is rented for these cores: the physical ones on which its instances may run.
    """
    price, cores = _stated_price(plan), taken_cores(plan)
    if price is None or cores is None or not price.is_known:
        return None
    return replace(price.machine, per_hour=price.of_core_hour * cores, cores=cores)


def _stated_price(plan: Plan) -> Price | None:
    """Read the price of a plan's study, whatever else that lacks.

    Raises:
        PlanError: it is none.
    """
    stated = plan.study.stated("price")
    try:
        return None if stated is None else Price.model_validate_json(json.dumps(stated))
    except ValidationError as error:
        raise PlanError(
            f"study.spec.price of the plan {plan.id}: {stated!r:.80} is no price",
            remedy="give a plan as `autotune tune` stores it",
        ) from error


def taken_cores(plan: Plan) -> int | None:
    """Count the physical cores that a plan takes; None where its document does not say."""
    if plan.estimate.charge is not None:
        return plan.estimate.charge.cores
    cpus = [cpu for instance in plan.instances for cpu in instance.cpus]
    return cores_of(plan.machine, cpus)


def cores_of(machine: Mapping[str, object], cpus: list[int]) -> int | None:
    """Count the cores of a machine's document that cpus are on, or that it may use where none is named."""
    cores, allowed = machine.get("cores"), machine.get("allowed")
    if not isinstance(cores, list) or not isinstance(allowed, str):
        return None
    try:
        used = set(cpus) or set(parse_cpu_list(allowed))
        count = sum(bool(used & set(parse_cpu_list(str(core)))) for core in cores)
    except MachineError:
        return None
    return count or None
