from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from autotune.statistics.quantiles import (
    needed_count,
    percentile_of,
    supports,
    upper_bound,
    upper_rank,
)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(0.1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], percentile: float) -> None:
    found = percentile_of(values, percentile)
    assert found in values
    at_most = sum(value <= found for value in values)
    below = sum(value < found for value in values)
    assert at_most >= percentile / 100 * len(values) - 1e-6
    assert below < percentile / 100 * len(values) + 1e-6


@pytest.mark.parametrize("percentile", [0, -1, 100.1])
def test_a_percentile_outside_of_the_range_is_refused(percentile: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile_of([1.0], percentile)


def test_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="0 values"):
        percentile_of([], 50)
    assert upper_bound([], 50) is None


@given(st.integers(1, 3000), st.sampled_from([50.0, 90.0, 95.0, 99.0]), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_upper_rank_is_the_smallest_that_the_binomial_allows(
    count: int, percentile: float, confidence: float
) -> None:
    found = upper_rank(count, percentile, confidence)
    covered = [
        binom.cdf(rank - 1, count, percentile / 100) for rank in (found or count, (found or count) - 1)
    ]
    if found is None:
        assert covered[0] < confidence
    else:
        assert covered[0] >= confidence
        assert found == 1 or covered[1] < confidence


@pytest.mark.parametrize(("percentile", "fewest"), [(50, 5), (90, 29), (95, 59), (99, 299)])
def test_the_largest_value_bounds_a_percentile_from_so_many_on(percentile: float, fewest: int) -> None:
    """Source: log(0.05) / log(p), e.g. 58.4 for p95."""
    assert upper_rank(fewest - 1, percentile) is None
    assert upper_rank(fewest, percentile) == fewest


def test_the_bound_covers_the_true_percentile_as_often_as_it_says() -> None:
    draw = random.Random(7)
    covered = sum((upper_bound([draw.random() for _ in range(80)], 90) or 0.0) >= 0.9 for _ in range(2000))
    assert covered / 2000 >= 0.95 - 3 * (0.95 * 0.05 / 2000) ** 0.5


@pytest.mark.parametrize(("percentile", "count"), [(50, 11), (90, 64), (95, 130), (99, 662)])
def test_a_percentile_is_supported_from_the_count_of_mlperf_on(percentile: float, count: int) -> None:
    assert needed_count(percentile) == count
    assert supports(count, percentile)
    assert not supports(count - 1, percentile)


def test_whatever_is_supported_has_a_bound() -> None:
    for percentile in (50.0, 90.0, 95.0, 99.0, 99.9):
        assert upper_rank(needed_count(percentile), percentile) is not None


@pytest.mark.parametrize(
    ("percentile", "value"), [(1, 1.0), (50, 2.0), (51, 3.0), (75, 3.0), (99, 4.0), (100, 4.0)]
)
def test_percentiles_are_nearest_rank(percentile: float, value: float) -> None:
    assert percentile_of([4.0, 2.0, 3.0, 1.0], percentile) == value


def test_a_percentile_of_hundredths_is_not_a_rank_too_high() -> None:
    # 0.07 * 100 is 7.000000000000001 in binary.
    assert percentile_of([float(rank) for rank in range(1, 101)], 7) == 7.0


@given(st.integers(0, 5_000), st.floats(1, 99.9))
def test_more_values_support_no_less(count: int, percentile: float) -> None:
    assert supports(count + 1, percentile) or not supports(count, percentile)
