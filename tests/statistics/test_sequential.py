from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.statistics.sequential import is_worse, needed_count

POSITIVE = st.floats(0.1, 10)


def noisy(draw: random.Random, center: float, sd: float, count: int) -> list[float]:
    """Log-normal values."""
    return [center * math.exp(draw.gauss(0, sd)) for _ in range(count)]


def stopped_at(ones: list[float], others: list[float], spread: float, freedom: int) -> int | None:
    """The look at which the ones are called worse, when it is asked after every pair."""
    for look in range(1, len(ones) + 1):
        if is_worse(ones[:look], others, spread=spread, freedom=freedom):
            return look
    return None


def share_stopped(ratio: float, sd: float, freedom: int, *, studies: int = 2_000, blocks: int = 8) -> float:
    """In how many studies something whose true ratio to the other is this is called worse.

    The spread is not known, but estimated from so many degrees of freedom, as in a study.
    """
    draw = random.Random(7)
    stops = 0
    for _ in range(studies):
        known = math.sqrt(sum(draw.gauss(0, sd) ** 2 for _ in range(freedom)) / freedom) if freedom else 0.0
        ones, others = noisy(draw, ratio, sd, blocks), noisy(draw, 1.0, sd, blocks)
        stops += stopped_at(ones, others, known, freedom) is not None
    return stops / studies


@pytest.mark.parametrize("sd", [0.005, 0.03, 0.1])
@pytest.mark.parametrize("freedom", [0, 2, 20])
def test_what_is_worse_by_the_margin_is_called_worse_in_at_most_5_percent(sd: float, freedom: int) -> None:
    # The worst case of the null hypothesis, with three standard errors of the simulation.
    assert share_stopped(0.95, sd, freedom) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2_000)


@pytest.mark.parametrize("sd", [0.03, 0.1])
def test_what_is_equal_is_hardly_ever_called_worse(sd: float) -> None:
    assert share_stopped(1.0, sd, 20) <= 0.02


@pytest.mark.parametrize(("ratio", "sd"), [(0.85, 0.01), (0.8, 0.03), (0.5, 0.1)])
def test_what_is_far_worse_is_found_out(ratio: float, sd: float) -> None:
    assert share_stopped(ratio, sd, 20) >= 0.9


def test_a_gap_of_many_standard_deviations_takes_one_pair() -> None:
    assert is_worse([0.7], [1.0], spread=0.02, freedom=20)


def test_one_pair_says_nothing_when_the_noise_is_large() -> None:
    assert not is_worse([0.7], [1.0], spread=0.10, freedom=20)


def test_one_pair_says_nothing_when_the_noise_is_unknown() -> None:
    assert not is_worse([0.1], [1.0], spread=0.0, freedom=0)


def test_values_that_agree_by_chance_are_not_believed_to_be_so_steady() -> None:
    assert not is_worse([0.92, 0.92], [1.0, 1.0], spread=0.0001, freedom=20)


def test_without_a_new_pair_there_is_no_new_look() -> None:
    assert is_worse([0.5, 0.5], [1.0, 1.0], spread=0.02, freedom=20)
    assert not is_worse([0.5, 0.5, 0.5], [1.0, 1.0], spread=0.02, freedom=20)
    assert not is_worse([], [1.0], spread=0.02, freedom=20)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=8), st.floats(0, 0.2), st.integers(0, 30))
def test_what_is_better_on_the_whole_is_never_called_worse(
    pairs: list[tuple[float, float]], spread: float, freedom: int
) -> None:
    ones, others = [max(pair) for pair in pairs], [min(pair) for pair in pairs]
    assert not is_worse(ones, others, spread=spread, freedom=freedom)


@given(st.lists(POSITIVE, min_size=1, max_size=8), st.floats(1, 1.5))
def test_a_larger_gap_is_not_forgiven(ones: list[float], factor: float) -> None:
    others = [2 * one for one in ones]
    wider = [factor * other for other in others]
    if is_worse(ones, others, spread=0.05, freedom=10):
        assert is_worse(ones, wider, spread=0.05, freedom=10)


@pytest.mark.parametrize("sd", [0.005, 0.01, 0.02, 0.04])
def test_the_mean_of_so_many_is_within_the_precision_in_95_percent(sd: float) -> None:
    draw = random.Random(3)
    hits = 0
    for _ in range(2_000):
        values = noisy(draw, 1.0, sd, 3)
        needed = needed_count(values)
        values += noisy(draw, 1.0, sd, int(needed) - 3)
        hits += abs(statistics.fmean(map(math.log, values))) <= 0.02
    assert hits / 2_000 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 2_000)


def test_two_values_are_not_enough_to_know_little_of_their_spread() -> None:
    # t(0.975, 1) = 12.7062, s = ln(1.01) / √2 = 0.0070360, so that N = (12.7062 * 0.0070360 / 0.02)².
    assert needed_count([1.0, 1.01]) == 20


def test_a_spread_that_is_known_from_earlier_makes_fewer_enough() -> None:
    assert needed_count([1.0, 1.01], spread=0.01, freedom=20) == 2
    assert needed_count([1.0], spread=0.02, freedom=20) == 5


def test_own_values_that_vary_more_than_those_earlier_count_alone() -> None:
    assert needed_count([1.0, 1.1], spread=0.005, freedom=20) > 20


def test_nothing_is_known_from_one_value() -> None:
    assert needed_count([1.0]) == math.inf


@given(st.lists(POSITIVE, min_size=2, max_size=8), st.floats(0, 0.5), st.integers(0, 50))
def test_what_there_is_already_is_never_too_many(values: list[float], spread: float, freedom: int) -> None:
    assert needed_count(values, spread=spread, freedom=freedom) >= len(values)
