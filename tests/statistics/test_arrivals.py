from __future__ import annotations

import statistics
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from autotune.statistics.arrivals import poisson_times


@given(st.integers(0, 2**31), st.floats(1, 500), st.floats(0.1, 2), st.floats(0.1, 2))
def test_every_stretch_holds_as_many_arrivals_as_are_expected(
    seed: int, rate_per_s: float, first_s: float, second_s: float
) -> None:
    times = poisson_times(seed, rate_per_s, (first_s, second_s))
    assert list(times) == sorted(times)
    early = sum(time < first_s for time in times)
    assert early == max(1, round(rate_per_s * first_s))
    assert len(times) - early == max(1, round(rate_per_s * second_s))
    assert 0 <= times[0] <= times[-1] <= first_s + second_s


def test_a_seed_gives_the_same_arrivals_again_and_another_gives_others() -> None:
    assert poisson_times(7, 100, (1, 2)) == poisson_times(7, 100, (1, 2))
    assert poisson_times(7, 100, (1, 2)) != poisson_times(8, 100, (1, 2))


def test_the_gaps_are_exponential() -> None:
    times = poisson_times(1, 100, (200,))
    gaps = [later - time for time, later in pairwise(times)]
    assert abs(statistics.fmean(gaps) / statistics.pstdev(gaps) - 1) < 0.03
    assert abs(sum(gap > 0.02 for gap in gaps) / len(gaps) - 0.1353) < 0.01  # exp(-2)
