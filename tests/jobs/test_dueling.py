from __future__ import annotations

import math

import pytest

from autotune.jobs.dueling import MANY_ROUNDS, rounds_that_would_tell


def test_an_interval_twice_too_wide_takes_about_four_times_the_rounds() -> None:
    assert rounds_that_would_tell(10, half_width=0.2, gap=0.1) == pytest.approx(40, abs=1)


def test_at_least_one_more_round_is_advised() -> None:
    assert rounds_that_would_tell(10, half_width=0.1, gap=0.1) == 11


@pytest.mark.parametrize(("half_width", "gap"), [(0.1, 0.0), (0.1, 0.001), (math.inf, 0.1), (0.0, 0.1)])
def test_nobody_is_advised_to_run_for_ever(half_width: float, gap: float) -> None:
    assert rounds_that_would_tell(12, half_width, gap) is None
    assert MANY_ROUNDS >= 100
