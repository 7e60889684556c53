"""What a plan costs: a million samples, a request, a month, beside its baseline and smaller machines."""

from __future__ import annotations

from typing import Any

import pytest

from autotune.documents.cost import cost_document
from autotune.errors import PlanError
from autotune.plan.cost_words import UNREADABLE, cost_rows, cost_sentences
from autotune.plan.costs import Bill, Figure, costs_of, stated_costs
from autotune.plan.describe import describe
from autotune.plan.document import Plan, PlanStudy, format_plan, parse_plan
from autotune.plan.evidence import Charge, OfCores, Range
from autotune.spec.machine_price import MachinePrice
from autotune.testing.plans import build_plan

LARGE = MachinePrice("USD", 4.848, 48, "aws 48-cores", "prices.yaml", "2021-04-20")


def estimate(plan: Plan, sps: float, cores: int, **changes: Any) -> Any:
    per_million = 0.101 * cores / 3_600 * 1e6 / sps
    charge = Charge(
        per_million=per_million,
        per_million_range=Range(low=per_million / 1.1, high=per_million / 0.8),
        currency="USD",
        cores=cores,
    )
    return plan.estimate.model_copy(
        update={"throughput_sps": sps, "charge": charge, "objective_value": per_million, **changes}
    )


@pytest.fixture
def plan() -> Plan:
    """A plan on 8 of 48 cores, at the price of the source on scaling."""
    built = build_plan()
    problem = {"batch_size": 2, "sequence_length": 128}
    price = {"per_hour": 4.848, "cores": 48, "currency": "USD"}
    small, whole = estimate(built, 100.0, 8), estimate(built, 300.0, 48)
    configuration = built.configuration
    return built.model_copy(
        update={
            "objective": "cost_USD",
            "estimate": small.model_copy(update={"energy_j_per_million": 250_000.0}),
            "baseline": estimate(built, 50.0, 48),
            "study": PlanStudy(name="sizes", spec={"problem": problem, "price": price}),
            "confirmation": built.confirmation.model_copy(
                update={
                    "by_cores": (
                        OfCores(cores=4, missing="the best on it misses the limit of 50.0 ms on p99 by 20%"),
                        OfCores(
                            cores=8, configuration=configuration, trial=3, estimate=small, confirmed=True
                        ),
                        OfCores(
                            cores=48,
                            configuration=configuration.__class__(
                                **{**configuration.parameters(), "cores": 48}
                            ),
                            trial=5,
                            estimate=whole,
                        ),
                    )
                }
            ),
        }
    )


def bill_of(plan: Plan, name: str) -> Bill:
    return next(bill for bill in costs_of(plan).bills if bill.name == name)


def test_a_million_samples_and_a_request_cost_the_cores_while_they_are_served(plan: Plan) -> None:
    bill = bill_of(plan, "plan")
    assert bill.price.per_hour == pytest.approx(0.808)
    assert bill.per_million.estimate == pytest.approx(0.808 / 3_600 * 1e6 / 100)
    assert bill.per_request.estimate == pytest.approx(0.808 / 3_600 * 2 / 100)
    assert bill.per_million.low == pytest.approx(bill.per_million.estimate / 1.1)
    assert bill.per_million.high == pytest.approx(bill.per_million.estimate / 0.8)
    assert bill_of(plan, "baseline").per_million.estimate == pytest.approx(4.848 / 3_600 * 1e6 / 50)


def test_a_sixth_is_paid_where_the_small_machine_meets_the_target(plan: Plan) -> None:
    """48 cores at 4.848 USD an hour against 8 at 0.808, for a rate that one of either serves."""
    small, large = bill_of(plan, "8 cores").month(50), bill_of(plan, "48 cores").month(50)
    assert (small.machines.estimate, large.machines.estimate) == (1, 1)
    assert small.cost.estimate == pytest.approx(0.808 * 730)
    assert large.cost.estimate == pytest.approx(4.848 * 730)
    assert small.cost.estimate / large.cost.estimate == pytest.approx(1 / 6)


def test_a_month_is_paid_in_whole_machines_with_the_interval_of_what_was_measured(plan: Plan) -> None:
    month = bill_of(plan, "plan").month(160)  # 320 samples a second; one machine serves 100 (80 to 110)
    assert month.machines == Figure(4, 3, 4)
    assert month.cost.estimate == pytest.approx(4 * 0.808 * 730)
    assert month.cost.low == pytest.approx(3 * 0.808 * 730)
    assert month.used == pytest.approx(320 / 400)


def test_every_machine_has_its_row_and_one_without_figure_says_why(plan: Plan) -> None:
    columns, *rows = cost_rows(costs_of(plan), 160)
    assert columns[:3] == ("", "cores", "a million samples")
    assert [row[0] for row in rows] == ["plan", "baseline", "8 cores", "48 cores"]
    assert {len(row) for row in rows} == {len(columns)}
    assert rows[0][-1] == "250 kJ"
    assert rows[1][-1] == UNREADABLE
    said = list(cost_sentences(costs_of(plan)))
    assert said[0] == "Price: 0.101 USD a core hour (the study file)."
    assert "48 cores" in said[1]
    assert said[2] == "No figure for 4 cores: the best on it misses the limit of 50.0 ms on p99 by 20%."


def test_another_price_takes_the_place_of_the_studys_and_is_named_with_table_and_date(plan: Plan) -> None:
    costs = costs_of(plan, MachinePrice("EUR", 9.6, 48, "acme big", "mine.yaml", "2026-01-31"))
    assert costs.bills[0].price.currency == "EUR"
    assert costs.bills[0].price.per_hour == pytest.approx(1.6)
    assert next(cost_sentences(costs)).endswith("(acme big in mine.yaml, 2026-01-31).")


def test_a_plan_without_a_price_says_what_to_do_and_can_be_given_one() -> None:
    plan = build_plan()
    assert stated_costs(plan) is None
    with pytest.raises(PlanError, match="was made without a price") as refused:
        costs_of(plan)
    assert "--type" in refused.value.remedy


def test_the_interval_of_throughput_is_that_of_its_cost(plan: Plan) -> None:
    measured = plan.model_copy(
        update={
            "objective": "throughput",
            "estimate": plan.estimate.model_copy(
                update={"objective_value": 100.0, "objective_range": Range(low=90.0, high=120.0)}
            ),
        }
    )
    bill = costs_of(measured, LARGE).bills[0]
    assert bill.served_sps == Figure(100.0, 90.0, 120.0)
    assert bill.per_million.low == pytest.approx(bill.per_million.estimate / 1.2)


def test_show_has_the_table_and_a_document_reads_back(plan: Plan) -> None:
    shown = describe(plan)
    assert "\ncost\n" in shown
    assert "48 cores" in shown
    assert "Price: 0.101 USD a core hour (the study file)." in shown
    assert parse_plan(format_plan(plan)) == plan
    assert "\ncost\n" not in describe(build_plan())


def test_the_document_holds_the_figures_of_the_table(plan: Plan) -> None:
    document = cost_document(costs_of(plan), 160)
    assert document["schema"] == "autotune.cost/1"
    assert document["requests_per_s"] == 160
    assert [bill["name"] for bill in document["bills"]] == ["plan", "baseline", "8 cores", "48 cores"]
    assert document["bills"][0]["month"]["machines"] == {"estimate": 4, "low": 3, "high": 4}
    assert document["missing"][0]["name"] == "4 cores"
    assert document["price"]["table"] == "the study file"
    assert cost_document(costs_of(plan), None)["bills"][0]["month"] is None
