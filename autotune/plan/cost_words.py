"""What a plan costs in words: a table with a row for each configuration, and where the price comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from autotune.plan.costs import Bill, Figure, PlanCosts
from autotune.units import format_rate, format_significant

UNREADABLE = "not readable here"
"""Of energy that no counter showed while the plan was measured."""


def cost_rows(costs: PlanCosts, requests_per_s: float | None = None) -> Iterator[tuple[str, ...]]:
    """A heading, then what each configuration costs.

    Args:
        requests_per_s: the rate that a month is told of; None = none.
    """
    of_rate = () if requests_per_s is None else ("machines", f"a month at {format_rate(requests_per_s)}")
    yield "", "cores", "a million samples", "a request", *of_rate, "energy a million"
    for bill in costs.bills:
        yield bill.name, *_cells(bill, requests_per_s)


def cost_sentences(costs: PlanCosts) -> Iterator[str]:
    """Say where the price comes from, and what a figure lacks."""
    price = costs.price
    yield (
        f"Price: {format_significant(price.of_core_hour)} {price.currency} a core hour "
        f"({price.source_in_words})."
    )
    if unconfirmed := [bill.name for bill in costs.bills if not bill.confirmed]:
        yield f"By the search's own figures, which flatter the best of many: {', '.join(unconfirmed)}."
    for machine in costs.unbilled:
        yield f"No figure for {machine.name}: {machine.missing}."


def energy_words(joules: float | None) -> str:
    """Write what a million samples take: `12.3 kJ`."""
    return UNREADABLE if joules is None else f"{format_significant(joules / 1e3)} kJ"


def _cells(bill: Bill, requests_per_s: float | None) -> Iterator[str]:
    currency = bill.price.currency
    yield str(bill.price.cores)
    yield _money(bill.per_million, currency)
    yield _money(bill.per_request, currency)
    if requests_per_s is not None:
        month = bill.month(requests_per_s)
        yield f"{_between(month.machines, _whole)}, {math.floor(100 * month.used)}% used"
        yield _money(month.cost, currency)
    yield energy_words(bill.energy_j_per_million)


def _money(figure: Figure, currency: str) -> str:
    return f"{_between(figure, format_significant)} {currency}"


def _between(figure: Figure, written: Callable[[float], str]) -> str:
    """A figure with its interval: `0.123 (0.120 to 0.126)`."""
    if figure.low is None or figure.high is None:
        return written(figure.estimate)
    return f"{written(figure.estimate)} ({written(figure.low)} to {written(figure.high)})"


def _whole(count: float) -> str:
    return f"{count:.0f}"
