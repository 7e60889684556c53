from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autotune.documents.fleet import choice_document
from autotune.errors import FleetError
from autotune.fleet.choice import Choice, choose
from autotune.fleet.price import UNKNOWN, MonthlyBudget
from autotune.fleet.workload import LatencyTarget, Workload
from autotune.plan.document import Plan
from autotune.plan.evidence import Range
from autotune.report.choice import sentences
from autotune.spec.machine_price import MachinePrice
from autotune.testing.curves import build_curve
from autotune.testing.plans import build_plan

WORKLOAD = Workload(1_000, LatencyTarget(99.0, 0.05), headroom=0.0, spare=0)
PROBLEM = {"batch_size": 8, "sequence_length": 128}


def plan(name: str, service_s: float, instances: int, *, study: str = "quickstart", **spec: Any) -> Plan:
    """A plan whose requests take so long, all alike."""
    return build_plan(
        id=f"{study}-{name}",
        machine={"model_name": name, "allowed": "0-1", "fingerprint": name, "cores": ["0", "1"]},
        study={"name": study, "spec": {"problem": PROBLEM, **spec}},
        curve=build_curve((service_s,), instances, shares=(0.5, 0.8)),
    )


LARGE = plan("large", 0.010, 8)
SMALL = plan("small", 0.012, 2)
SLOW = plan("slow", 0.060, 2)
SILENT = build_plan(id="quickstart-silent", study={"name": "quickstart", "spec": {"problem": PROBLEM}})


def priced(**per_hour: float) -> Any:
    """Prices by the machine's name."""

    def price(of: Plan) -> MachinePrice | str:
        amount = per_hour.get(str(of.machine["model_name"]))
        return UNKNOWN if amount is None else MachinePrice("USD", amount, 1)

    return price


def ids(choice: Choice) -> list[str]:
    return [offer.plan.id.removeprefix("quickstart-") for offer in choice.offers]


def test_the_cheapest_that_meets_the_limit_is_chosen_and_the_others_say_what_they_lack() -> None:
    choice = choose([LARGE, SLOW, SMALL, SILENT], WORKLOAD, prices=priced(large=4.848, small=0.808, slow=0.1))
    assert ids(choice) == ["small", "large", "slow", "silent"]
    assert choice.by_price
    best, runner_up, slow, silent = choice.offers
    assert best.lacks == ""
    assert runner_up.lacks.startswith("it costs ")
    assert runner_up.lacks.endswith("% more")
    assert "20% more" in slow.lacks
    assert "autotune curve" in silent.lacks


def test_the_scaling_sources_small_machine_wins_where_it_meets_the_target() -> None:
    """Source: part 1 of "Scaling up BERT-like model inference on modern CPU": a sixth of the money."""
    workload = replace(WORKLOAD, rate_per_s=100.0)
    choice = choose([LARGE, SMALL], workload, prices=priced(large=4.848, small=0.808))
    best, runner_up = choice.offers
    assert best.plan.id == SMALL.id
    assert best.fleet is not None
    assert runner_up.fleet is not None
    assert (best.fleet.machines, runner_up.fleet.machines) == (1, 1)
    assert runner_up.lacks == "it costs 500% more"


def test_a_budget_excludes_what_costs_more() -> None:
    prices = priced(large=0.8, small=0.808)
    month = choose([LARGE, SMALL], WORKLOAD, prices=prices)
    costs = {
        offer.plan.id: offer.fleet.cost.per_month
        for offer in month.offers
        if offer.fleet and offer.fleet.cost
    }
    assert costs[LARGE.id] < costs[SMALL.id]
    within = choose([LARGE, SMALL], WORKLOAD, budget=MonthlyBudget(costs[LARGE.id] + 1), prices=prices)
    assert within.chosen.plan.id == LARGE.id
    assert "over the budget" in within.offers[1].lacks
    with pytest.raises(FleetError, match="the cheapest is quickstart-large, and it costs"):
        choose([LARGE, SMALL], WORKLOAD, budget=MonthlyBudget(1.0), prices=prices)


def test_a_budget_needs_prices() -> None:
    with pytest.raises(FleetError, match="needs prices"):
        choose([LARGE, SMALL], WORKLOAD, budget=MonthlyBudget(100.0))


def test_without_prices_the_fewest_cores_are_chosen() -> None:
    choice = choose([SMALL, LARGE], WORKLOAD)
    assert ids(choice) == ["large", "small"]
    assert not choice.by_price
    assert "more cores" in choice.offers[1].lacks


def test_a_plan_without_a_price_comes_behind_those_that_have_one() -> None:
    choice = choose([LARGE, SMALL], WORKLOAD, prices=priced(small=100.0))
    assert ids(choice) == ["small", "large"]
    assert choice.offers[1].lacks == "no price of it is known"


def test_currencies_that_differ_are_refused_with_both() -> None:
    def prices(of: Plan) -> MachinePrice:
        return MachinePrice("EUR" if of is LARGE else "USD", 1.0, 1)

    with pytest.raises(FleetError, match="quickstart-large in EUR and quickstart-small in USD"):
        choose([LARGE, SMALL], WORKLOAD, prices=prices)


def test_a_budget_in_another_currency_than_the_prices_is_refused() -> None:
    prices = priced(large=1.0, small=1.0)
    with pytest.raises(FleetError, match="the budget of 500 EUR a month is in another currency") as caught:
        choose([LARGE, SMALL], WORKLOAD, budget=MonthlyBudget(500.0, "EUR"), prices=prices)
    assert "in USD" in caught.value.remedy
    assert (
        choose([LARGE, SMALL], WORKLOAD, budget=MonthlyBudget(1e9, "USD"), prices=prices).budget_per_month
        == 1e9
    )


def test_requests_that_differ_are_told_by_their_files_and_digests_only_where_nothing_else_differs() -> None:
    def asking(name: str, **problem: object) -> Plan:
        return plan(name, 0.01, 2, problem={"batch_size": 2, **problem})

    one = asking("one", texts="a.txt", texts_digest="7b8546200a30" + 52 * "0")
    other = asking("other", texts="b.txt", texts_digest="c0ffee200a30" + 52 * "0")
    changed = asking("changed", texts="a.txt", texts_digest="c0ffee200a30" + 52 * "0")
    with pytest.raises(FleetError, match=r"different requests: texts a\.txt, and texts b\.txt\n") as caught:
        choose([one, other], WORKLOAD)
    assert "digest" not in caught.value.problem
    with pytest.raises(FleetError, match=r"texts digest 7b854620, and texts digest c0ffee20\n"):
        choose([one, changed], WORKLOAD)


def test_plans_of_different_requests_are_not_chosen_among() -> None:
    other = plan("other", 0.01, 2, problem={"batch_size": 1, "sequence_length": 32})
    with pytest.raises(FleetError, match="serve different requests") as caught:
        choose([LARGE, other], WORKLOAD)
    assert "--study" in caught.value.remedy


def test_a_limit_that_no_plan_meets_names_the_nearest_and_by_how_much() -> None:
    with pytest.raises(FleetError) as caught:
        choose([SLOW, SMALL], replace(WORKLOAD, target=LatencyTarget(99.0, 0.010)))
    assert "the nearest is quickstart-small" in caught.value.problem
    assert "20% more" in caught.value.problem


def test_nothing_to_choose_among_says_what_to_do() -> None:
    with pytest.raises(FleetError, match="there are no plans"):
        choose([], WORKLOAD)
    with pytest.raises(FleetError, match="no plan says what rates it bears"):
        choose([SILENT], WORKLOAD)


def test_a_plan_that_is_beaten_in_everything_is_not_efficient() -> None:
    worse = plan("worse", 0.020, 2)
    choice = choose([LARGE, SMALL, worse], WORKLOAD, prices=priced(large=1.0, small=0.1, worse=0.5))
    efficient = {offer.plan.id: offer.is_efficient for offer in choice.offers}
    assert efficient == {LARGE.id: True, SMALL.id: True, worse.id: False}


def unsure(of: Plan, *, by: float) -> Plan:
    """The same plan, whose speed is known to such a share to either side."""
    value = of.estimate.objective_value
    between = Range(low=value * (1 - by), high=value * (1 + by))
    estimate = of.estimate.model_copy(update={"objective_range": between, "runs": 3})
    return of.model_copy(update={"estimate": estimate})


def test_runners_up_whose_intervals_overlap_the_chosen_ones_are_named() -> None:
    alike = plan("alike", 0.0125, 2)
    prices = priced(small=0.808, alike=0.808, large=48.0)
    surely = choose([unsure(each, by=0.001) for each in (SMALL, alike)], WORKLOAD, prices=prices)
    hardly = choose([unsure(each, by=0.2) for each in (SMALL, alike, LARGE)], WORKLOAD, prices=prices)
    assert (surely.chosen.plan.id, surely.rivals) == (SMALL.id, ())
    assert (hardly.chosen.plan.id, hardly.rivals) == (SMALL.id, (alike.id,))
    assert any(f"{SMALL.id} and {alike.id}" in sentence for sentence in sentences(hardly))
    assert choice_document(hardly)["rivals"] == [alike.id]
    assert choose([unsure(each, by=0.2) for each in (SMALL, alike)], WORKLOAD).rivals == (alike.id,)
