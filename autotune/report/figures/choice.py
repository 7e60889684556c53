"""Plans beside each other: latency against what one machine serves, and against what requests cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes

from autotune.fleet.choice import Choice, Offer
from autotune.fleet.sizing import BILLION
from autotune.objectives.cost import SECONDS_PER_HOUR
from autotune.report.figures.axes import scale_values
from autotune.report.figures.picture import HUES, MARKERS, RED, Picture, drawing, new_figure
from autotune.units import format_latency, format_rate, format_significant

NAME, TITLE = "choice", "Plans beside each other"

LOADS: Final = (0.1, 0.3, 0.5, 0.7, 0.85, 1.0)
"""Shares of what a machine bears at the target, at which its latency is drawn."""
MOST: Final = len(HUES)
"""Plans that are drawn at most: those that stand first."""


def picture(choice: Choice) -> Picture:
    """Draw each plan that serves the workload, from little load to as much as it bears at the target."""
    shown = [offer for offer in choice.offers if offer.fleet is not None][:MOST]
    percentile = choice.workload.target.percentile
    with drawing():
        figure = new_figure(4.2)
        left, right = figure.subplots(1, 2, sharey=True)
        latencies: list[float] = []
        for offer, hue, marker in zip(shown, HUES, MARKERS, strict=False):
            latencies += _draw((left, right), offer, choice, hue, marker)
        for axes in (left, right):
            axes.axhline(1000 * choice.workload.target.max_s, color=RED, linestyle=":", gid="choice-target")
            axes.set_xlim(left=0)
        left.set_xlabel("requests per second of one machine")
        right.set_xlabel(_cost_label(choice))
        left.set_ylabel(f"p{percentile:g} latency, ms")
        scale_values(left.yaxis, latencies)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return Picture(NAME, TITLE, _CAPTION, _description(choice, shown), figure)


def _draw(panels: tuple[Axes, Axes], offer: Offer, choice: Choice, hue: str, marker: str) -> list[float]:
    """Draw one plan in both panels; give the latencies that were drawn, in ms."""
    fleet, capability = offer.fleet, offer.capability
    assert fleet is not None
    assert capability is not None
    rates = [share * fleet.bearable.rate_per_s for share in LOADS]
    known = [(rate, capability.latency_s(rate, choice.workload.target.percentile)) for rate in rates]
    finite = [(rate, 1000 * latency_s) for rate, latency_s in known if math.isfinite(latency_s)]
    is_chosen = offer is choice.chosen
    label = f"{offer.plan.id}{' (chosen)' if is_chosen else ''}"
    for axes, costs in ((panels[0], False), (panels[1], True)):
        across = [_cost(offer, rate) if costs else rate for rate, _ in finite]
        axes.plot(
            across,
            [latency for _, latency in finite],
            color=hue,
            marker=marker,
            linewidth=2.4 if is_chosen else 1.2,
            linestyle="-" if offer.is_efficient else "--",
            label=label,
        )
    return [latency for _, latency in finite]


def _cost(offer: Offer, rate_per_s: float) -> float:
    """What a billion requests cost at this rate of a machine; without a price, its cores for each request."""
    if offer.price is None:
        return (offer.each_cores or 1) / rate_per_s
    return offer.price.per_hour / rate_per_s * BILLION / SECONDS_PER_HOUR


def _cost_label(choice: Choice) -> str:
    price = choice.chosen.price
    return "core seconds of a request" if price is None else f"{price.currency} for a billion requests"


def _description(choice: Choice, shown: Sequence[Offer]) -> str:
    told = []
    for offer in shown:
        fleet = offer.fleet
        assert fleet is not None
        cost = fleet.cost
        costs = "" if cost is None else f", {format_significant(cost.per_month)} {cost.currency} a month"
        told.append(
            f"{offer.plan.id}: {fleet.machines} machines that bear "
            f"{format_rate(fleet.bearable.rate_per_s)} each{costs}, {format_latency(fleet.latency_s)}"
        )
    return f"Plans for {choice.workload.in_words}. {'; '.join(told)}."


_CAPTION = (
    "Each line leads from a tenth of what one machine bears at the limit (dotted) to all of it: the more a "
    "machine is given, the less a request costs and the longer it takes. Dashed plans are beaten by "
    "another one in latency, rate and cost at once."
)
