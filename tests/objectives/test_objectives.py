"""Every objective keeps the contract, and what is particular to each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autotune.objectives.catalogue import objective_named, objective_of
from autotune.objectives.cost import Cost
from autotune.objectives.latency import Latency
from autotune.objectives.outcome import Figures, Resources
from autotune.objectives.throughput import THROUGHPUT
from autotune.spec.aim import KINDS
from autotune.spec.load import parse_study
from autotune.spec.price import Price
from autotune.testing.objective_contract import ObjectiveContract

SERVED = Figures(20.0, (0.4, 0.1, 0.2, 0.3))


class TestThroughput(ObjectiveContract):
    objective = THROUGHPUT


class TestMedianLatency(ObjectiveContract):
    objective = Latency(50)


class TestTailLatency(ObjectiveContract):
    objective = Latency(99.9)


class TestCost(ObjectiveContract):
    objective = Cost("EUR")
    resources = Resources(cores=4, price=Price(per_core_hour=0.1, currency="EUR"))


def study(objective: str) -> str:
    return (
        f"model: fake:model.json\nproblem: {{batch_size: 1, sequence_length: 8}}\nobjective: {objective}\n"
        "price: {per_core_hour: 0.1, currency: EUR}\n"
    )


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("throughput", "throughput"),
        ("latency", "latency_p50"),
        ("{latency: p99.9}", "latency_p99.9"),
        ("cost", "cost_EUR"),
    ],
)
def test_the_objective_of_a_study_has_the_name_of_what_is_written(written: str, name: str) -> None:
    objective = objective_of(parse_study(study(written), name="named"))
    assert objective.name == name
    assert objective_named(name) == objective


def test_every_kind_that_may_be_written_has_an_objective() -> None:
    for kind in KINDS:
        assert objective_of(parse_study(study(kind), name="kind")).name.startswith(kind)


@pytest.mark.parametrize("name", ["", "speed", "latency", "latency_p", "latency_pfast", "throughput "])
def test_what_is_no_objective_has_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="is no objective"):
        objective_named(name)


def test_people_read_samples_per_second() -> None:
    assert THROUGHPUT.told(23.61) == "23.6 samples/s"
    assert THROUGHPUT.label == "throughput, samples/s (higher is better)"
    assert THROUGHPUT.surpasses("2.3") == "serves 2.3 times as much as the baseline"


def test_people_read_milliseconds_at_a_percentile() -> None:
    assert Latency(75).score(SERVED) == 0.3
    assert Latency(75).told(0.3) == "p75 300 ms"
    assert Latency(99.9).label == "p99.9 latency, ms (lower is better)"
    assert Latency(50).surpasses("2.3") == "answers 2.3 times as fast as the baseline (p50 latency)"


def test_a_million_samples_cost_what_the_cores_cost_meanwhile() -> None:
    """The source's machine: 48 cores for 4.848 USD an hour; a million at 1,000 a second take 1,000 s."""
    whole = Price(per_hour=4.848, cores=48)
    served = replace(SERVED, throughput_sps=1000.0)
    assert Cost("USD").score(replace(served, resources=Resources(48, whole))) == pytest.approx(4.848 / 3.6)
    assert Cost("USD").score(replace(served, resources=Resources(8, whole))) == pytest.approx(0.808 / 3.6)


def test_half_of_the_cores_at_more_than_half_of_the_throughput_is_cheaper() -> None:
    price = Price(per_core_hour=0.1)
    whole = replace(SERVED, throughput_sps=100.0, resources=Resources(8, price))
    half = replace(SERVED, throughput_sps=60.0, resources=Resources(4, price))
    assert Cost("USD").goodness_of(half) > Cost("USD").goodness_of(whole)
    assert THROUGHPUT.goodness_of(half) < THROUGHPUT.goodness_of(whole)


@pytest.mark.parametrize(
    "resources", [Resources(), Resources(cores=4), Resources(price=Price(per_core_hour=1.0))]
)
def test_what_has_no_cores_or_no_price_has_no_cost(resources: Resources) -> None:
    with pytest.raises(ValueError, match="lacks cores or price"):
        Cost("USD").score(replace(SERVED, resources=resources))


def test_people_read_money_for_a_million_samples() -> None:
    assert Cost("USD").told(0.01234) == "0.0123 USD per million"
    assert Cost("USD").label == "cost, USD per million (lower is better)"
    assert Cost("USD").surpasses("2.3") == "serves 2.3 times as much for the money as the baseline"
