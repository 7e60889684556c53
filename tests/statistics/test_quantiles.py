from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.statistics.quantiles import (
    highest_supported,
    needed_count,
    percentile_of,
    supports,
    upper_bound,
    upper_rank,
)


@pytest.mark.parametrize(
    ("percentile", "value"), [(1, 1.0), (50, 2.0), (51, 3.0), (75, 3.0), (99, 4.0), (100, 4.0)]
)
def test_percentiles_are_nearest_rank(percentile: float, value: float) -> None:
    assert percentile_of([4.0, 2.0, 3.0, 1.0], percentile) == value


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=50),
    st.floats(0, 100, exclude_min=True),
)
def test_a_percentile_is_a_value_that_enough_do_not_exceed(values: list[float], percentile: float) -> None:
    value = percentile_of(values, percentile)
    assert value in values
    assert sum(other <= value for other in values) >= percentile / 100 * len(values) - 1e-6


def test_a_percentile_of_hundredths_is_not_a_rank_too_high() -> None:
    # 0.07 * 100 is 7.000000000000001 in binary.
    assert percentile_of([float(rank) for rank in range(1, 101)], 7) == 7.0


@pytest.mark.parametrize("percentile", [0.0, -1.0, 100.1, math.nan])
def test_a_percentile_that_is_none_is_refused(percentile: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile_of([1.0], percentile)


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="of 0 values"):
        percentile_of([], 50)


@pytest.mark.parametrize(("percentile", "needed"), [(50, 11), (90, 64), (95, 130), (99, 662)])
def test_the_counts_that_support_a_percentile_are_those_of_mlperf(percentile: float, needed: int) -> None:
    assert supports(needed, percentile)
    assert not supports(needed - 1, percentile)
    assert needed_count(percentile) == needed


@given(st.integers(0, 5_000), st.floats(1, 99.9))
def test_more_values_support_no_less(count: int, percentile: float) -> None:
    assert supports(count + 1, percentile) or not supports(count, percentile)


@given(st.floats(1, 99.9))
def test_a_percentile_that_is_supported_has_a_bound(percentile: float) -> None:
    assert upper_rank(needed_count(percentile), percentile) is not None


@pytest.mark.parametrize(("count", "highest"), [(0, None), (10, None), (11, 50.0), (129, 90.0), (662, 99.0)])
def test_the_highest_percentile_is_the_one_that_the_count_supports(
    count: int, highest: float | None
) -> None:
    assert highest_supported(count) == highest


def test_the_bound_is_the_order_statistic_of_the_textbook() -> None:
    # The largest of n exceeds the p90 with probability 1 - 0.9^n, which reaches 95 % at n = 29.
    assert upper_rank(28, 90) is None
    assert upper_rank(29, 90) == 29
    assert upper_bound([float(value) for value in range(29)], 90) == 28.0
    assert upper_bound([], 90) is None


@pytest.mark.parametrize("percentile", [50.0, 90.0])
def test_the_bound_holds_the_true_percentile_as_often_as_it_says(percentile: float) -> None:
    draw = random.Random(1)
    truth = -math.log(1 - percentile / 100)
    bounds = [upper_bound([draw.expovariate(1) for _ in range(100)], percentile) for _ in range(2_000)]
    held = sum(bound is not None and bound >= truth for bound in bounds)
    # 95 % less three standard errors; order statistics are discrete, so that it may hold more often.
    assert held / 2_000 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 2_000)
