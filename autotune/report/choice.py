"""A choice among plans in words, as a table, and as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from autotune.fleet.choice import Choice, Offer
from autotune.fleet.price import NO_PRICE, UNKNOWN
from autotune.fleet.words import DISPUTED, edge_words, interval_words
from autotune.report.figures.picture import MARK, Picture
from autotune.report.page import drawn, environment
from autotune.report.tables import Row, Table
from autotune.units import format_count, format_latency, format_rate, format_significant

COLUMNS: Final = ("plan", "machine", "machines", "each bears", "latency", "cost a month", "unbeaten", "lacks")


def choice_page(choice: Choice, picture: Picture) -> str:
    """Render the page of a choice."""
    text = (
        environment()
        .get_template("choice.html")
        .render(
            mark=MARK,
            version=version("autotune"),
            chosen=choice.chosen.plan.id,
            asked=choice.workload.in_words,
            headline=headline(choice),
            table=choice_table(choice),
            sentences=list(sentences(choice)),
            picture=drawn(picture),
        )
    )
    return f"{text.rstrip()}\n"


def headline(choice: Choice) -> str:
    """Say what was chosen: `NAME: 5 machines for 1000 requests/s, p99 within 20.0 ms, 73.7 USD a month`."""
    best = choice.chosen
    machines = format_count(best.fleet.machines if best.fleet else 0, "machine")
    cost = _monthly(best)
    return f"{best.plan.id}: {machines} for {choice.workload.in_words}{f', {cost} a month' if cost else ''}"


def sentences(choice: Choice) -> Iterator[str]:
    """Say what the choice rests on, and what it does not know."""
    if not choice.by_price:
        yield f"Ranked by the number of cores. {NO_PRICE}"
    if choice.between is not None:
        yield (
            f"{choice.chosen.plan.id} takes {interval_words(choice.between)}, by the interval of its speed "
            "(95 %)."
        )
    if choice.rivals:
        yield (
            f"Not told apart, as their intervals overlap: {choice.chosen.plan.id} and "
            f"{', '.join(choice.rivals)}. `autotune verify` of each with more --rounds says more."
        )
    for offer in choice.offers:
        if offer.unpriced not in ("", UNKNOWN, offer.lacks):
            yield f"{offer.plan.id} has no price: {offer.unpriced}."
    prices = sorted({offer.price.source_in_words for offer in choice.offers if offer.price is not None})
    if prices:
        yield f"Prices: {'; '.join(prices)}."
    models = sorted({str(offer.plan.model.get("source")) for offer in choice.offers})
    if len(models) > 1:
        yield f"Their models differ, and so may their answers: {', '.join(models)}."
    for offer in choice.offers:
        if offer.fleet is not None and offer.capability is not None:
            yield f"{offer.plan.id}: by {offer.capability.in_words}."
            if offer.fleet.bearable.is_disputed:
                yield f"{offer.plan.id}: {DISPUTED}"
            if edge := edge_words(offer.fleet):
                yield f"{offer.plan.id}: {edge}"


def choice_table(choice: Choice) -> Table:
    """Give a row for each plan, the chosen one first."""
    rows = [
        Row(tuple(_cells(offer)), mark="plan" if offer is choice.chosen else "") for offer in choice.offers
    ]
    return Table(COLUMNS, tuple(rows))


def _cells(offer: Offer) -> Iterator[str]:
    plan, fleet = offer.plan, offer.fleet
    yield plan.id
    cores = "unknown cores" if offer.each_cores is None else format_count(offer.each_cores, "core")
    yield f"{plan.machine.get('model_name') or 'unknown'}, {cores}"
    if fleet is None:
        yield from ("", "", "")
    else:
        yield str(fleet.machines)
        yield format_rate(fleet.bearable.rate_per_s)
        yield format_latency(fleet.latency_s)
    yield _monthly(offer) or "unknown"
    yield "yes" if offer.is_efficient else ""
    yield offer.lacks


def _monthly(offer: Offer) -> str:
    cost = offer.fleet.cost if offer.fleet else None
    return "" if cost is None else f"{format_significant(cost.per_month)} {cost.currency}"
