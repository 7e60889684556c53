"""What a machine costs that runs a plan: as somebody says now, as a table does, or as its study does."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from autotune.plan.costs import paid_cores, stated_price
from autotune.plan.document import Plan
from autotune.spec.machine_price import MachinePrice
from autotune.units import format_count, format_significant

FORMS: Final = "a price of one machine an hour, such as 0.808USD"
COMMAND_LINE: Final = "--price"
"""Where a price stands that somebody says now."""
MOST: Final = 1e9

MOST_BUDGET: Final = 1e15

_MONEY: Final = re.compile(
    r"^(?P<amount>[0-9]{1,15}(\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?) ?(?P<currency>[A-Z]{3})?$"
)

NO_PRICE: Final = (
    "No price is known: give what one machine costs an hour (--price 0.808USD), a machine type of a table of "
    "prices (--type), or `price` in the study file."
)
UNKNOWN: Final = "no price of it is known"


@dataclass(frozen=True)
class MonthlyBudget:
    """What a fleet may cost a month.

    Attributes:
        currency: its code of three letters; empty = that of the prices.
    """

    per_month: float
    currency: str = ""

    @property
    def in_words(self) -> str:
        """`5000 USD a month`."""
        return f"{format_significant(self.per_month)}{self.currency and ' '}{self.currency} a month"


@dataclass(frozen=True)
class AskedPrice:
    """What somebody says of prices; without either, what each plan's study states.

    Attributes:
        machine: what every machine costs, whatever it runs.
        of_type: what a machine type costs: of its cores, a plan pays for those that it takes.
    """

    machine: MachinePrice | None = None
    of_type: MachinePrice | None = None

    def of(self, plan: Plan) -> MachinePrice | str:
        """Give what one machine costs that runs a plan, or say in a clause why that is not known."""
        if self.machine is not None:
            return self.machine
        cores = paid_cores(plan)
        if self.of_type is None:
            price = stated_price(plan)
            return UNKNOWN if price is None or not price.is_known else _of_cores(price.machine, cores)
        if cores is not None and cores > self.of_type.cores:
            have = f"{self.of_type.name} has {self.of_type.cores}"
            return f"it takes {format_count(cores, 'core')}, and {have}"
        return _of_cores(self.of_type, cores)


STATED: Final = AskedPrice()
"""What each plan's study states."""


def parse_price(text: str) -> MachinePrice:
    """Read what one machine costs an hour: `0.808USD`, `0.808 EUR`, or `0.808` of US dollars.

    Raises:
        ValueError: the text is none.
    """
    amount, currency = _money(text, MOST, FORMS)
    return MachinePrice(currency or "USD", amount, cores=1, table=COMMAND_LINE)


def parse_budget(text: str) -> MonthlyBudget:
    """Read what a fleet may cost a month: `5000`, `5000USD`, or `5000 EUR`.

    Raises:
        ValueError: the text is none.
    """
    return MonthlyBudget(*_money(text, MOST_BUDGET, "an amount of money a month, such as 5000 or 5000USD"))


def _money(text: str, most: float, forms: str) -> tuple[float, str]:
    """Give an amount and its currency's code, empty where none is written.

    Raises:
        ValueError: the text is neither, or the amount is not more than 0 and at most `most`.
    """
    match = _MONEY.match(text.strip())
    amount = float(match["amount"]) if match else 0.0
    if match is None or not 0 < amount <= most:
        raise ValueError(f"{text!r} is not {forms}")
    return amount, match["currency"] or ""


def plan_price(plan: Plan) -> MachinePrice | None:
    """Give what the cores cost that a plan takes, at its study's price; None where that is not known.

    A machine that runs the plan is rented for these cores: the physical ones on which its instances may run.
    """
    price = STATED.of(plan)
    return None if isinstance(price, str) else price


def _of_cores(price: MachinePrice, cores: int | None) -> MachinePrice | str:
    """Give the price of so many of a machine's cores."""
    if cores is None:
        return f"{UNKNOWN}, as it does not say how many cores it takes"
    return replace(price, per_hour=price.of_core_hour * cores, cores=cores)
