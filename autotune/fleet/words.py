"""A fleet in words: its figures row by row, with their intervals, and what there is to say of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from autotune.fleet.capability import Capability
from autotune.fleet.check import ReplayCheck
from autotune.fleet.price import COMMAND_LINE, NO_PRICE
from autotune.fleet.sizing import Fleet, FleetCost, Outage
from autotune.fleet.uncertainty import FleetRange
from autotune.units import format_count, format_latency, format_rate, format_significant

DISPUTED: Final = (
    "The curve contradicts itself: at a lower rate, requests that never waited took longer than the limit. "
    "Something disturbed it: run `autotune curve` again when nothing else runs here."
)


def fleet_headline(fleet: Fleet) -> str:
    """`9 machines, 8 and 1 spare: 1000 requests/s, p99 within 50.0 ms, headroom 30%`."""
    spare = fleet.machines - fleet.needed
    beside = f", {fleet.needed} and {spare} spare" if spare else ""
    return (
        f"{format_count(fleet.machines, 'machine')}{beside}: {fleet.workload.in_words}, "
        f"headroom {fleet.workload.headroom:.0%}"
    )


def fleet_rows(fleet: Fleet, between: FleetRange | None = None) -> Iterator[tuple[str, str]]:
    """Name and tell each figure.

    Args:
        between: the same at both ends of the measurement's interval; None = not known.
    """
    each = fleet.bearable
    percentile = f"p{fleet.workload.target.percentile:g}"
    rate = _between(between, lambda end: end.bearable.rate_per_s, without=0.0)
    yield (
        "one machine",
        f"bears {format_rate(each.rate_per_s)}{rate} at that limit, {each.utilisation:.0%} of the "
        f"{format_rate(each.capacity_per_s)} that it serves at most",
    )
    if between is not None:
        yield "machines", f"{fleet.machines}{_between(between, lambda end: end.machines, _whole)}"
    yield "each gets", f"{format_rate(fleet.rate_per_machine_s)}, {fleet.utilisation:.0%} busy"
    yield percentile, _latency_words(fleet.latency_s)
    if fleet.cost is not None:
        yield from _costs(fleet.cost, between)
    for loss in fleet.losses:
        yield f"a {loss.what} lost", _loss_words(loss, percentile)


def fleet_sentences(
    capability: Capability, fleet: Fleet, between: FleetRange | None, check: ReplayCheck | None
) -> Iterator[str]:
    """Say what the figures do not know, and what the replay gives."""
    if not fleet.bearable.is_measured and capability.basis != "back-to-back":
        yield "The rate of one machine is higher than any that was measured: `autotune curve` measures more."
    if fleet.bearable.is_disputed:
        yield DISPUTED
    if edge := edge_words(fleet):
        yield edge
    yield _interval_words(fleet, between)
    if fleet.cost is None:
        yield NO_PRICE
    if check is not None:
        yield _check_words(fleet, check)


def edge_words(fleet: Fleet) -> str:
    """Say that the measured service times do not tell surely whether lone requests keep to the target.

    Empty where they do.
    """
    edge, target = fleet.bearable.edge, fleet.workload.target
    if edge is None:
        return ""
    return (
        f"{edge.beyond or 'None'} of the {edge.measured} service times behind it take longer than "
        f"{format_latency(target.max_s)} by themselves, which does not tell surely that "
        f"p{target.percentile:g} of requests that never wait keeps to it: measure longer "
        "(`autotune curve --seconds`), or ask for another limit."
    )


def interval_words(between: FleetRange) -> str:
    """`4 to 6 machines, 590 to 885 USD a month`: a fleet at both ends of the measurement's interval."""
    told = f"{_ends(between, lambda end: end.machines, _whole)} machines"
    fleet = between.fast or between.slow
    if fleet is None or fleet.cost is None:
        return told
    months = _ends(between, lambda end: end.cost.per_month if end.cost else math.inf)
    return f"{told}, {months} {fleet.cost.currency} a month"


def _costs(cost: FleetCost, between: FleetRange | None) -> Iterator[tuple[str, str]]:
    def money(amount: float, of: Callable[[FleetCost], float]) -> str:
        ends = _between(between, lambda end: math.inf if end.cost is None else of(end.cost))
        return f"{format_significant(amount)}{ends} {cost.currency}"

    yield "per hour", money(cost.per_hour, lambda end: end.per_hour)
    yield "per month", money(cost.per_month, lambda end: end.per_month)
    full = money(cost.per_billion_full, lambda end: end.per_billion_full)
    yield (
        "per billion",
        f"{money(cost.per_billion, lambda end: end.per_billion)} for a billion requests at that rate; "
        f"{full} on machines with nothing left free",
    )
    price = cost.price
    size = "" if price.table == COMMAND_LINE else f" of {format_count(price.cores, 'core')}"
    yield (
        "price",
        f"{format_significant(price.per_hour)} {price.currency} an hour for each machine{size}: "
        f"{price.source_in_words}",
    )


def _between(
    between: FleetRange | None,
    of: Callable[[Fleet], float],
    written: Callable[[float], str] = format_significant,
    *,
    without: float = math.inf,
) -> str:
    """Write both ends of a figure in parentheses; nothing where they are not known."""
    return "" if between is None else f" ({_ends(between, of, written, without=without)})"


def _ends(
    between: FleetRange,
    of: Callable[[Fleet], float],
    written: Callable[[float], str] = format_significant,
    *,
    without: float = math.inf,
) -> str:
    """Write both ends of a figure, the lower one first.

    Args:
        without: what it is where no number of machines suffices.
    """
    ends = sorted(without if end is None else of(end) for end in (between.slow, between.fast))
    low, high = ("no end" if math.isinf(end) else written(end) for end in ends)
    return f"{low} to {high}"


def _whole(count: float) -> str:
    return f"{count:.0f}"


def _interval_words(fleet: Fleet, between: FleetRange | None) -> str:
    if between is None:
        return "No interval: the plan states none of its speed, as fewer than two rounds measured it."
    speed = between.speed
    told = (
        f"Intervals are those of the plan's speed, which {speed.runs} launches know to within "
        f"{speed.low - 1:+.1%} and {speed.high - 1:+.1%}, with 95 % confidence."
    )
    if between.slow is None:
        target = fleet.workload.target.in_words
        return f"{told} At its slow end no number of machines keeps to {target}."
    return told


def _loss_words(loss: Outage, percentile: str) -> str:
    if loss.left == 0:
        return "nothing is left"
    gone = f"{format_count(loss.left, 'machine')} left"
    if math.isinf(loss.latency_s):
        return f"{gone}, {loss.utilisation:.0%} of what they serve at most: their queues grow without end"
    kept = "the limit is kept to" if loss.is_met else "the limit is missed"
    return f"{gone}, {loss.utilisation:.0%} busy, {percentile} {_latency_words(loss.latency_s)}: {kept}"


def _latency_words(latency_s: float) -> str:
    return "without end" if math.isinf(latency_s) else format_latency(latency_s)


def _check_words(fleet: Fleet, check: ReplayCheck) -> str:
    percentile = f"p{fleet.workload.target.percentile:g}"
    verdict = "agrees" if check.agrees else "does not agree"
    expected, told = format_latency(check.expected_s), format_latency(fleet.latency_s)
    corrected = f", and {told} once corrected by what was measured" if told != expected else ""
    return (
        f"A replay of the service times, event by event, {verdict}: {percentile} "
        f"{format_latency(check.replayed_s)}, where the arithmetic says {expected}{corrected}; "
        f"{format_latency(check.least_busy_s)} behind a balancer that picks the least busy machine."
    )
