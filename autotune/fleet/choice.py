"""Chooses among plans, of this machine and of others, by what a fleet of each would cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from autotune.errors import FleetError
from autotune.fleet.capability import Capability, capability_of
from autotune.fleet.price import STATED, MonthlyBudget
from autotune.fleet.sizing import Fleet, fleet_of, unmet_words
from autotune.fleet.uncertainty import FleetRange, range_of_fleet, speed_of
from autotune.fleet.workload import Workload
from autotune.plan.costs import paid_cores
from autotune.plan.document import Plan
from autotune.spec.machine_price import MachinePrice
from autotune.units import format_significant


@dataclass(frozen=True)
class Offer:
    """One plan, and the fleet that it would take.

    Attributes:
        price: of one machine; None = not known.
        unpriced: why not, as a clause.
        capability: None where the plan does not say what it bears.
        fleet: None where the plan cannot serve the workload.
        lacks: why it is not chosen, as a clause; empty of the chosen one.
        is_efficient: no other plan has a lower latency, bears more per machine and costs less, all at once.
    """

    plan: Plan
    price: MachinePrice | None
    capability: Capability | None = None
    fleet: Fleet | None = None
    lacks: str = ""
    is_efficient: bool = False
    unpriced: str = ""

    @property
    def each_cores(self) -> int | None:
        """Cores of one machine that it takes; None where that is not known."""
        return paid_cores(self.plan)

    @property
    def cores(self) -> int | None:
        """Cores of all its machines; None where that is not known."""
        each = self.each_cores
        return None if each is None or self.fleet is None else each * self.fleet.machines

    @property
    def least_s(self) -> float | None:
        """The target's percentile of requests that never wait; None where that is not known."""
        if self.capability is None or self.fleet is None:
            return None
        return self.capability.least_s(self.fleet.workload.target.percentile)


@dataclass(frozen=True)
class Choice:
    """What was chosen among plans.

    Attributes:
        offers: the chosen one first, then the runners-up by cost, then those that serve it not at all.
        budget_per_month: None = no bound.
        by_price: whether they are ranked by cost; else by the number of cores, as no price is known.
        between: the chosen one's fleet at both ends of the interval of its speed; None = not known.
        rivals: ids of runners-up that may be as cheap, as their intervals overlap the chosen one's.
    """

    workload: Workload
    offers: tuple[Offer, ...]
    budget_per_month: float | None
    by_price: bool
    between: FleetRange | None = None
    rivals: tuple[str, ...] = ()

    @property
    def chosen(self) -> Offer:
        """The cheapest that serves the workload."""
        return self.offers[0]


Prices = Callable[[Plan], MachinePrice | str]
"""Gives what a machine costs that runs a plan, or says in a clause why that is not known."""


def choose(
    plans: Sequence[Plan],
    workload: Workload,
    *,
    budget: MonthlyBudget | None = None,
    prices: Prices = STATED.of,
) -> Choice:
    """Choose the cheapest plan whose fleet serves a workload.

    Plans with no price are chosen among by the number of cores, where no plan has one. Where some have,
    the others come behind them.

    Raises:
        FleetError: there are no plans, they answer different requests, their currencies differ, none keeps to
            the target or the budget, or the budget is in another currency than the prices.
    """
    if not plans:
        raise FleetError("there are no plans to choose among", remedy="tune some, or import them first")
    refuse_different_requests(plans)
    offers = [_offer(plan, workload, prices(plan)) for plan in plans]
    by_price = any(offer.price is not None for offer in offers)
    currency = _currency(offers)
    if budget is not None:
        _refuse_other_currency(budget, currency)
    budget_per_month = None if budget is None else budget.per_month
    able = _ranked((each for each in offers if each.fleet is not None), by_price=by_price)
    if not able:
        problem, remedy = _none_serves(offers, workload)
        raise FleetError(problem, remedy=remedy)
    judged = [_over_budget(offer, budget_per_month) for offer in able]
    within = [offer for offer in judged if not offer.lacks]
    if not within:
        raise FleetError(
            f"no plan serves {workload.in_words} for "
            f"{format_significant(budget_per_month or 0.0)} {currency} a month: "
            f"the cheapest is {able[0].plan.id}, and {judged[0].lacks}",
            remedy="raise --budget, or lower --headroom, --spare or --zones",
        )
    best = within[0]
    others = [_beside(offer, best, by_price=by_price) for offer in within[1:]]
    rest = [offer for offer in judged if offer.lacks]
    unable = [offer for offer in offers if offer.fleet is None]
    ordered = (best, *others, *rest, *unable)
    efficient = _efficient(ordered, by_price=by_price)
    between = _between(best)
    rivals = tuple(offer.plan.id for offer in others if _may_be_as_cheap(offer, best, between))
    return Choice(workload, efficient, budget_per_month, by_price, between, rivals)


def refuse_different_requests(plans: Sequence[Plan]) -> None:
    """Make sure that plans serve the same requests.

    Raises:
        FleetError: two do not.
    """
    first = plans[0]
    for plan in plans[1:]:
        if (asked := _asked(plan)) != _asked(first):
            own, other = _difference(_asked(first), asked)
            raise FleetError(
                f"the plans {first.id} and {plan.id} serve different requests: {own}, and {other}",
                remedy="say which to choose among (--study NAME)",
            )


_DIGEST_SHOWN: Final = 8
"""Letters of a digest, where nothing else tells requests apart."""


def _asked(plan: Plan) -> dict[str, object]:
    """Give what a plan's requests are; what is not said is the default."""
    problem = plan.study.stated("problem") or {}
    return {"batch_size": 1} | {name: value for name, value in problem.items() if value}


def _difference(asked: Mapping[str, object], other: Mapping[str, object]) -> tuple[str, str]:
    """Say of each of two kinds of requests what the other does not have.

    Digests are shown only of files that are otherwise the same.
    """
    names = [name for name in sorted({*asked, *other}) if asked.get(name) != other.get(name)]
    named = [name for name in names if not name.endswith("_digest")] or names
    first, second = (
        ", ".join(_asked_words(name, requests.get(name)) for name in named) for requests in (asked, other)
    )
    return first, second


def _asked_words(name: str, value: object) -> str:
    label = {"batch_size": "batch"}.get(name, name.replace("_", " "))
    if value is None:
        return f"no {label}"
    return f"{label} {str(value)[:_DIGEST_SHOWN] if name.endswith('_digest') else value}"


def _offer(plan: Plan, workload: Workload, price: MachinePrice | str) -> Offer:
    known, unpriced = (None, price) if isinstance(price, str) else (price, "")
    capability = capability_of(plan)
    if isinstance(capability, str):
        return Offer(plan, known, lacks=capability, unpriced=unpriced)
    bearable = capability.bearable(workload.target)
    if bearable is None:
        return Offer(plan, known, capability, lacks=unmet_words(capability, workload), unpriced=unpriced)
    return Offer(plan, known, capability, fleet_of(capability, bearable, workload, known), unpriced=unpriced)


def _between(offer: Offer) -> FleetRange | None:
    """Give an offer's fleet at both ends of the interval of its plan's speed."""
    speed = speed_of(offer.plan)
    if speed is None or offer.capability is None or offer.fleet is None:
        return None
    return range_of_fleet(offer.capability, offer.fleet, speed)


def _may_be_as_cheap(offer: Offer, best: Offer, chosen: FleetRange | None) -> bool:
    """Say whether an offer at its best takes no more than the chosen one at its worst.

    Args:
        chosen: the chosen one's fleet at both ends.
    """
    between = _between(offer)
    if chosen is None or between is None or between.fast is None:
        return False
    if chosen.slow is None:
        return True
    if between.fast.cost is not None and chosen.slow.cost is not None:
        return between.fast.cost.per_month <= chosen.slow.cost.per_month
    if best.price is not None or offer.each_cores is None or best.each_cores is None:
        return False
    return between.fast.machines * offer.each_cores <= chosen.slow.machines * best.each_cores


def _currency(offers: Iterable[Offer]) -> str | None:
    """Give the one currency in which plans are priced; None where none is.

    Raises:
        FleetError: there are several.
    """
    priced = {each.price.currency: each.plan.id for each in offers if each.price is not None}
    if len(priced) > 1:
        named = " and ".join(f"{plan_id} in {currency}" for currency, plan_id in sorted(priced.items()))
        raise FleetError(
            f"the plans are priced in several currencies: {named}",
            remedy="give one price for all (--price 0.808USD, or --type), or say which to choose among "
            "(--study NAME)",
        )
    return next(iter(priced), None)


def _refuse_other_currency(budget: MonthlyBudget, currency: str | None) -> None:
    """Make sure that prices can be held against a budget.

    Raises:
        FleetError: there are no prices, or they are in another currency.
    """
    if currency is None:
        raise FleetError(
            f"a budget of {budget.in_words} needs prices, and no plan has one",
            remedy="give what one machine costs an hour (--price 0.808USD, or its --type), or leave the "
            "budget out",
        )
    if budget.currency not in ("", currency):
        raise FleetError(
            f"the budget of {budget.in_words} is in another currency than the prices, in {currency}",
            remedy=f"give --budget in {currency}, or prices in {budget.currency} (--price, or --type)",
        )


def _ranked(offers: Iterable[Offer], *, by_price: bool) -> list[Offer]:
    """Order those that serve it: cheapest first, or fewest cores; then by latency."""

    def key(offer: Offer) -> tuple[bool, float, float, str]:
        fleet = offer.fleet
        assert fleet is not None
        if by_price:
            value = None if fleet.cost is None else fleet.cost.per_hour
        else:
            value = offer.cores if offer.cores is not None else fleet.machines
        return value is None, value or 0.0, fleet.latency_s, offer.plan.id

    return sorted(offers, key=key)


def _none_serves(offers: Sequence[Offer], workload: Workload) -> tuple[str, str]:
    """Say that no plan serves it, and which is nearest."""
    nearest = min(
        (each for each in offers if each.capability is not None),
        key=lambda each: each.capability.least_s(workload.target.percentile) if each.capability else 0.0,
        default=None,
    )
    if nearest is None:
        return (f"no plan says what rates it bears: {offers[0].plan.id}: {offers[0].lacks}", "")
    return (
        f"no plan keeps to {workload.target.in_words}: the nearest is {nearest.plan.id}, and {nearest.lacks}",
        "allow a higher latency, or tune for a lower one",
    )


def _over_budget(offer: Offer, budget_per_month: float | None) -> Offer:
    cost = offer.fleet.cost if offer.fleet else None
    if budget_per_month is None:
        return offer
    if cost is None:
        return replace(offer, lacks=f"{offer.unpriced}, so that it may be over the budget")
    if cost.per_month <= budget_per_month:
        return offer
    over = cost.per_month - budget_per_month
    return replace(
        offer,
        lacks=f"it costs {format_significant(cost.per_month)} {cost.currency} a month, "
        f"{format_significant(over)} over the budget",
    )


def _beside(offer: Offer, best: Offer, *, by_price: bool) -> Offer:
    """Say what a runner-up lacks beside the chosen one."""
    own, least = offer.fleet, best.fleet
    assert own is not None
    assert least is not None
    if by_price and own.cost is None:
        lacks = offer.unpriced
    elif own.cost is not None and least.cost is not None:
        more = own.cost.per_hour / least.cost.per_hour - 1
        lacks = f"it costs {more:.0%} more" if more else "it costs as much, and its latency is no lower"
    elif offer.cores is not None and best.cores is not None:
        more = offer.cores / best.cores - 1
        lacks = f"it takes {more:.0%} more cores" if more else "it takes as many cores, at a latency no lower"
    else:
        lacks = f"it takes {own.machines} machines, where {least.machines} do"
    return replace(offer, lacks=lacks)


def _efficient(offers: Sequence[Offer], *, by_price: bool) -> tuple[Offer, ...]:
    """Mark those that no other one is better than in everything (Pareto)."""
    merits = [_merits(offer, by_price=by_price) for offer in offers]
    return tuple(
        replace(offer, is_efficient=own is not None and not any(_dominates(each, own) for each in merits))
        for offer, own in zip(offers, merits, strict=True)
    )


def _merits(offer: Offer, *, by_price: bool) -> tuple[float, ...] | None:
    """Give what counts, less is better: latency, cost of a full machine's requests, and machines' rate.

    Without prices, cores are what requests cost.
    """
    if offer.fleet is None or offer.least_s is None:
        return None
    fleet = offer.fleet
    if by_price and fleet.cost is None:
        return None
    cores = offer.each_cores or 1
    cost = cores / fleet.bearable.rate_per_s if fleet.cost is None else fleet.cost.per_billion_full
    return offer.least_s, cost, -fleet.bearable.rate_per_s


def _dominates(merits: tuple[float, ...] | None, than: tuple[float, ...]) -> bool:
    if merits is None or merits == than:
        return False
    return all(own <= theirs for own, theirs in zip(merits, than, strict=True))
