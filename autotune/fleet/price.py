"""What a machine costs that runs a plan: as somebody says now, or as the plan's study does."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from autotune.plan.costs import paid_cores, stated_price
from autotune.plan.document import Plan
from autotune.spec.machine_price import MachinePrice

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
    price, cores = stated_price(plan), paid_cores(plan)
    if price is None or cores is None or not price.is_known:
        return None
    return replace(price.machine, per_hour=price.of_core_hour * cores, cores=cores)
