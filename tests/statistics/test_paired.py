from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from autotune.statistics.paired import Interval, mean_interval, paired_ratio, t_quantile, t_tail

positive = st.floats(0.01, 1e6)


@given(st.lists(positive, min_size=2, max_size=20))
def test_the_interval_is_students_of_the_logarithms(values: list[float]) -> None:
    logs = [math.log(value) for value in values]
    found = mean_interval(values)
    error = stats.sem(logs)
    center = math.fsum(logs) / len(logs)
    assert found.estimate == pytest.approx(math.exp(center))
    if error > 1e-12:
        low, high = stats.t.interval(0.95, len(logs) - 1, loc=center, scale=error)
        assert found.low == pytest.approx(math.exp(low))
        assert found.high == pytest.approx(math.exp(high))


def test_one_value_says_nothing_of_its_spread() -> None:
    found = mean_interval([3.0])
    assert found.estimate == pytest.approx(3.0)
    assert (found.low, found.high) == (0.0, math.inf)
    assert found.half_width == math.inf


@given(st.lists(st.tuples(positive, positive), min_size=2, max_size=10))
def test_the_inverse_ratio_has_the_inverse_interval(pairs: list[tuple[float, float]]) -> None:
    ones, others = [one for one, _ in pairs], [other for _, other in pairs]
    there, back = paired_ratio(ones, others), paired_ratio(others, ones)
    assert there.estimate == pytest.approx(1 / back.estimate)
    assert there.low == pytest.approx(1 / back.high)


@given(st.lists(positive, min_size=2, max_size=10), st.lists(st.floats(0.5, 2), min_size=2, max_size=10))
def test_what_both_share_cancels(values: list[float], drift: list[float]) -> None:
    shared = drift[: len(values)]
    ones = [2 * value * factor for value, factor in zip(values, shared, strict=False)]
    others = [value * factor for value, factor in zip(values, shared, strict=False)]
    assert paired_ratio(ones, others).estimate == pytest.approx(2.0)
    assert paired_ratio(ones, others).half_width < 1e-6


@pytest.mark.parametrize("values", [[], [0.0], [1.0, -2.0]])
def test_what_has_no_logarithm_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="no geometric mean"):
        mean_interval(values)
    with pytest.raises(ValueError, match="no paired ratios"):
        paired_ratio(values, values)


def test_unequal_numbers_are_not_paired() -> None:
    with pytest.raises(ValueError, match="2 and 1 values"):
        paired_ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize("freedom", [1, 3, 30])
def test_students_quantile_and_tail_are_each_others_inverse(freedom: int) -> None:
    assert t_tail(t_quantile(0.99, freedom), freedom) == pytest.approx(0.01)
    assert t_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom))


def test_an_interval_that_is_moved_is_as_unsure_of_that_as_it_is_far() -> None:
    plain = Interval(100.0, 100.0, 100.0, 0.95, 5)
    moved = plain.moved(0.98)
    assert moved.estimate == pytest.approx(98.0)
    assert moved.low == pytest.approx(98.0 * 0.98**1.96, rel=1e-4)
    assert moved.high == pytest.approx(98.0 / 0.98**1.96, rel=1e-4)
    assert plain.moved(1.0) == plain
    unknown = Interval(100.0, 0.0, math.inf, 0.95, 1).moved(0.9)
    assert (unknown.estimate, unknown.low, unknown.high) == (90.0, 0.0, math.inf)
