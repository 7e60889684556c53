"""The tests that every objective passes: subclass `ObjectiveContract` in a test module.

```python
class TestThroughput(ObjectiveContract):
    objective = Throughput()
```
"""

# The names of tests are sentences.
# ruff: noqa: D102

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from autotune.objectives.catalogue import objective_named
from autotune.objectives.objective import Objective
from autotune.objectives.outcome import Figures, Resources
from autotune.statistics.paired import Interval, mean_interval

SCORES = (1e-6, 0.0123, 0.5, 1.0, 23.6, 4.2e5)
FASTER = (0.5, 0.9, 1.0, 1.1, 3.0, 40.0)
"""How many times as fast the outcomes are that a contract looks at, ascending."""

SERVED = Figures(20.0, (0.2, 0.35, 0.4, 0.4, 0.55), memory_bytes=2**30)
"""Made-up figures; what they took is a test's to say."""


def sped_up(outcome: Figures, factor: float) -> Figures:
    """The same served so many times as fast on the same cores."""
    latencies_s = tuple(latency / factor for latency in outcome.latencies_s)
    return replace(outcome, throughput_sps=outcome.throughput_sps * factor, latencies_s=latencies_s)


class ObjectiveContract:
    """What `Objective` promises, as tests."""

    objective: ClassVar[Objective]
    resources: ClassVar[Resources] = Resources(cores=4)
    """What it is given as taken."""

    @pytest.fixture
    def outcome(self) -> Figures:
        return replace(SERVED, resources=self.resources)

    def test_a_score_is_positive_and_finite(self, outcome: Figures) -> None:
        assert 0 < self.objective.score(outcome) < math.inf

    def test_what_is_faster_on_the_same_cores_is_better(self, outcome: Figures) -> None:
        scores = [self.objective.score(sped_up(outcome, factor)) for factor in FASTER]
        worth = [self.objective.goodness(score) for score in scores]
        assert strictly_rising(worth)
        assert strictly_rising(scores if self.objective.direction == "maximize" else scores[::-1])

    def test_twice_as_fast_is_twice_as_good(self, outcome: Figures) -> None:
        gain = self.objective.ratio(
            self.objective.score(sped_up(outcome, 2.0)), self.objective.score(outcome)
        )
        assert gain == pytest.approx(2.0)

    def test_what_takes_fewer_cores_is_no_worse(self, outcome: Figures) -> None:
        fewer = replace(outcome, resources=replace(self.resources, cores=1))
        assert self.objective.goodness_of(fewer) >= self.objective.goodness_of(outcome)

    def test_what_takes_twice_the_cores_is_worth_less_by_a_known_power(self, outcome: Figures) -> None:
        assert self.resources.cores is not None
        more = replace(outcome, resources=replace(self.resources, cores=2 * self.resources.cores))
        lost = self.objective.goodness_of(outcome) / self.objective.goodness_of(more)
        assert lost == pytest.approx(2.0**self.objective.core_exponent)

    def test_goodness_is_its_own_inverse(self) -> None:
        for score in SCORES:
            worth = self.objective.goodness(score)
            assert 0 < worth < math.inf
            assert self.objective.goodness(worth) == pytest.approx(score)

    def test_a_ratio_is_of_goodness(self) -> None:
        for one, other in itertools.pairwise(SCORES):
            assert self.objective.ratio(one, other) == pytest.approx(1 / self.objective.ratio(other, one))
            assert (self.objective.ratio(other, one) > 1) == (self.objective.direction == "maximize")

    def test_the_unit_of_people_goes_there_and_back(self) -> None:
        for score in SCORES:
            assert self.objective.read(self.objective.shown(score)) == pytest.approx(score)

    def test_a_value_is_told_with_its_unit(self) -> None:
        for score in SCORES:
            number, _, unit = self.objective.format(score).partition(" ")
            assert unit == self.objective.unit
            assert float(number) == pytest.approx(self.objective.shown(score), rel=5e-3)
            assert self.objective.told(score).endswith(self.objective.format(score))
        assert self.objective.unit in self.objective.label
        assert self.objective.title in self.objective.label

    def test_its_name_is_enough_to_find_it(self) -> None:
        assert objective_named(self.objective.name) == self.objective
        assert len(self.objective.name) <= 32, "the column of a store holds no more"

    def test_an_interval_of_goodness_is_one_of_scores(self) -> None:
        for goodness in intervals(SCORES[1:-1]):
            found = self.objective.interval(goodness)
            assert found.low <= found.estimate <= found.high
            assert self.objective.goodness(found.estimate) == pytest.approx(goodness.estimate)
            assert (found.confidence, found.count) == (goodness.confidence, goodness.count)
            assert math.isfinite(found.half_width) == math.isfinite(goodness.half_width)

    def test_a_percentile_that_it_needs_decides_its_score(self, outcome: Figures) -> None:
        slower = replace(outcome, latencies_s=tuple(2 * latency for latency in outcome.latencies_s))
        is_decided = self.objective.score(slower) != self.objective.score(outcome)
        assert is_decided == (self.objective.percentile is not None)

    def test_a_throughput_that_it_tells_is_the_one_behind_the_score(self, outcome: Figures) -> None:
        told = self.objective.implied_throughput_sps(self.objective.score(outcome), self.resources)
        assert told is None or told == pytest.approx(outcome.throughput_sps)

    def test_equal_ones_are_one_value(self) -> None:
        assert hash(objective_named(self.objective.name)) == hash(self.objective)


def strictly_rising(values: Sequence[float]) -> bool:
    """Whether each is larger than the one before."""
    return all(one < other for one, other in itertools.pairwise(values))


def intervals(values: Sequence[float]) -> Iterator[Interval]:
    """Around each of these; the last has a single value, which says nothing of its spread."""
    yield from (mean_interval([0.9 * value, value, 1.2 * value]) for value in values)
    yield mean_interval(values[-1:])
