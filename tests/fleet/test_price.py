from __future__ import annotations

from dataclasses import replace

import pytest

from autotune.fleet.price import UNKNOWN, AskedPrice, parse_price, plan_price
from autotune.plan.costs import paid_cores
from autotune.plan.evidence import Charge
from autotune.spec.machine_price import MachinePrice
from autotune.testing.plans import build_commands, build_estimate, build_plan

MACHINE = {"model_name": "Built CPU", "allowed": "0-7", "cores": ["0,4", "1,5", "2,6", "3,7"]}


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [("0.808USD", 0.808, "USD"), ("4.848 EUR", 4.848, "EUR"), (" 12 ", 12.0, "USD")],
)
def test_a_price_is_read_with_its_currency(text: str, amount: float, currency: str) -> None:
    price = parse_price(text)
    assert (price.per_hour, price.currency) == (amount, currency)


@pytest.mark.parametrize("text", ["", "0USD", "-1USD", "usd 3", "1e9999USD", "3 dollars", "nan"])
def test_what_is_no_price_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 0\.808USD"):
        parse_price(text)


def test_a_plans_price_is_that_of_the_cores_that_it_takes() -> None:
    study = {"name": "quickstart", "spec": {"price": {"per_hour": 4.8, "cores": 48, "currency": "EUR"}}}
    price = plan_price(build_plan(build_commands(2), machine=MACHINE, study=study))
    assert price is not None
    assert (price.currency, price.cores) == ("EUR", 2)
    assert price.per_hour == pytest.approx(0.2)


def test_a_plan_that_states_its_charge_takes_those_cores() -> None:
    charged = build_estimate(30.0).model_copy(
        update={"charge": Charge(per_million=1.0, currency="USD", cores=5)}
    )
    assert paid_cores(build_plan(machine=MACHINE, estimate=charged)) == 5


def test_a_plan_that_was_measured_as_a_smaller_machine_pays_for_that() -> None:
    plan = build_plan(build_commands(2), machine=MACHINE)
    smaller = plan.model_copy(update={"configuration": replace(plan.configuration, cores=3)})
    assert (paid_cores(plan), paid_cores(smaller)) == (2, 3)


def test_a_plan_that_is_not_pinned_takes_all_cores_that_may_be_used() -> None:
    assert paid_cores(build_plan(build_commands(1, pinned=False), machine=MACHINE)) == 4


@pytest.mark.parametrize("cores", [None, "0-3", ["a"]])
def test_a_document_that_does_not_say_its_cores_has_no_price(cores: object) -> None:
    study = {"name": "quickstart", "spec": {"price": {"per_core_hour": 0.1}}}
    assert plan_price(build_plan(machine={**MACHINE, "cores": cores}, study=study)) is None


def test_a_plan_without_a_price_has_none_and_a_wrong_one_is_in_no_plan() -> None:
    assert plan_price(build_plan(machine=MACHINE)) is None
    study = {"name": "quickstart", "spec": {"price": {"per_hour": -1}}}
    with pytest.raises(ValueError, match=r"price\.per_hour: it must be more than 0"):
        build_plan(machine=MACHINE, study=study)


OF_TYPE = MachinePrice("USD", 4.848, 48, "aws 48-cores", "prices.yaml", "2021-04-20")


def test_a_plan_pays_for_its_cores_of_a_type_whatever_its_study_states() -> None:
    study = {"name": "quickstart", "spec": {"price": {"per_hour": 4.8, "cores": 48, "currency": "EUR"}}}
    price = AskedPrice(of_type=OF_TYPE).of(build_plan(build_commands(2), machine=MACHINE, study=study))
    assert isinstance(price, MachinePrice)
    assert (price.currency, price.cores) == ("USD", 2)
    assert price.per_hour == pytest.approx(0.202)
    assert price.source_in_words == "aws 48-cores in prices.yaml, 2021-04-20"


def test_a_price_of_one_machine_is_that_of_every_plans() -> None:
    asked = AskedPrice(parse_price("3 EUR"))
    assert asked.of(build_plan(build_commands(2), machine=MACHINE)) == asked.machine


def test_why_no_price_is_known_is_a_clause() -> None:
    plan = build_plan(build_commands(2), machine=MACHINE)
    assert AskedPrice().of(plan) == UNKNOWN
    small = AskedPrice(of_type=replace(OF_TYPE, cores=1, name="acme tiny"))
    assert small.of(plan) == "it takes 2 cores, and acme tiny has 1"
    silent = build_plan(build_commands(2), machine={**MACHINE, "cores": None})
    assert AskedPrice(of_type=OF_TYPE).of(silent) == f"{UNKNOWN}, as it does not say how many cores it takes"
