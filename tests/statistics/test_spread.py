from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.statistics.spread import deviation


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_it_is_the_standard_deviation_that_exact_arithmetic_gives(values: list[float]) -> None:
    assert deviation(values) == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-9)


def test_any_iterable_will_do() -> None:
    assert deviation(map(float, range(3))) == 1


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_have_none(values: list[float]) -> None:
    with pytest.raises(ValueError, match=f"{len(values)} values"):
        deviation(values)
