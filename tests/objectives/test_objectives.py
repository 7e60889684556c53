"""Every objective keeps the contract, and what is particular to each."""

from __future__ import annotations

import pytest

from autotune.objectives.catalogue import objective_named, objective_of
from autotune.objectives.latency import Latency
from autotune.objectives.outcome import Figures
from autotune.objectives.throughput import THROUGHPUT
from autotune.spec.aim import KINDS
from autotune.spec.load import parse_study
from autotune.testing.objective_contract import ObjectiveContract

SERVED = Figures(20.0, (0.4, 0.1, 0.2, 0.3))


class TestThroughput(ObjectiveContract):
    objective = THROUGHPUT


class TestMedianLatency(ObjectiveContract):
    objective = Latency(50)


class TestTailLatency(ObjectiveContract):
    objective = Latency(99.9)


def study(objective: str) -> str:
    return f"model: fake:model.json\nproblem: {{batch_size: 1, sequence_length: 8}}\nobjective: {objective}\n"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("throughput", "throughput"),
        ("latency", "latency_p50"),
        ("{latency: p99.9}", "latency_p99.9"),
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
