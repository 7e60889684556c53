"""Drawn lengths have the distribution that was asked, in every stretch of them."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.model.drawing import EVEN, RECENT, STRATUM, draw_lengths, mixed, with_repeats
from autotune.spec.named_file import NamedFile
from autotune.spec.problem import Lengths, LogNormal

LOGNORMAL = Lengths(lognormal=LogNormal(median=24, sigma=0.5, max=128))


def test_values_come_as_often_as_their_weights_say() -> None:
    lengths = draw_lengths(Lengths(values=(16, 32, 128), weights=(5, 3, 1)), 1024, seed=0)
    assert [lengths.count(value) for value in (16, 32, 128)] == pytest.approx([569, 341, 114], abs=2)


def test_without_weights_values_come_equally_often() -> None:
    lengths = draw_lengths(Lengths(values=(8, 4)), 128, seed=0)
    assert (lengths.count(4), lengths.count(8)) == (64, 64)


def test_log_normal_lengths_have_the_median_and_the_spread() -> None:
    lengths = draw_lengths(LOGNORMAL, 1024, seed=1)
    assert statistics.median(lengths) == 24
    assert statistics.stdev(map(math.log, lengths)) == pytest.approx(0.5, rel=0.03)
    assert 90 < max(lengths) <= 128


def test_longer_ones_are_cut() -> None:
    assert max(draw_lengths(Lengths(lognormal=LogNormal(median=24, sigma=2, max=30)), 64, seed=0)) == 30


@given(st.integers(0, 100))
def test_every_stratum_is_like_all_of_them(seed: int) -> None:
    lengths = draw_lengths(LOGNORMAL, 1024, seed)
    means = [statistics.fmean(lengths[at : at + STRATUM]) for at in range(0, 1024, STRATUM)]
    assert statistics.stdev(means) < 0.04 * statistics.fmean(lengths)


def test_the_same_seed_draws_the_same_and_another_one_another_order() -> None:
    assert draw_lengths(LOGNORMAL, 100, 1) == draw_lengths(LOGNORMAL, 100, 1)
    assert draw_lengths(LOGNORMAL, 1024, 1) != draw_lengths(LOGNORMAL, 1024, 2)


def test_lengths_of_a_file_are_not_drawn() -> None:
    with pytest.raises(ValueError, match="read, not drawn"):
        draw_lengths(Lengths(file=NamedFile(path="a.txt")), 1, seed=0)


@given(st.lists(st.integers(1, 100), max_size=300), st.integers(0, 5))
def test_what_is_mixed_is_all_there_in_an_order_that_the_seed_decides(lengths: list[int], seed: int) -> None:
    assert sorted(mixed(lengths, seed)) == [*range(len(lengths))]
    assert mixed(lengths, seed) == mixed(lengths, seed)


def test_every_stretch_of_a_sorted_file_is_like_all_of_it_once_it_is_mixed() -> None:
    lengths = sorted(draw_lengths(LOGNORMAL, 2000, seed=0))
    order = [lengths[place] for place in mixed(lengths, 1)]
    means = [statistics.fmean(order[at : at + STRATUM]) for at in range(0, 2000 - STRATUM, STRATUM)]
    assert min(means) > 0.95 * statistics.fmean(lengths)
    assert max(means) < 1.05 * statistics.fmean(lengths)
    assert means != sorted(means)
    assert order != [lengths[place] for place in mixed(lengths, 2)]


@given(st.integers(1, 400), st.floats(0, 0.95), st.integers(0, 5))
def test_as_many_come_again_as_asked_and_soon_after(distinct: int, rate: float, seed: int) -> None:
    total = round(distinct / (1 - rate))
    order = with_repeats(distinct, total, seed)
    assert len(order) == total
    assert list(dict.fromkeys(order)) == [*range(distinct)]
    known = 0
    for number in order:
        assert number >= known - RECENT
        known = max(known, number + 1)


@given(st.integers(100, 800), st.floats(0, 0.9))
def test_those_that_come_again_are_spread_evenly(distinct: int, rate: float) -> None:
    total = round(distinct / (1 - rate))
    order = with_repeats(distinct, total, 0)
    asked = 1 - distinct / total
    for end in range(EVEN, total, EVEN):
        assert abs(end - len(set(order[:end])) - asked * end) <= 2
