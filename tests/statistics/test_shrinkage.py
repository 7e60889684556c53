from __future__ import annotations

import random
import statistics

import pytest

from autotune.statistics.shrinkage import unlucky_factor


def values(truth: float, draw: random.Random, *, noise: float = 0.05, count: int = 6) -> list[float]:
    return [truth * draw.lognormvariate(0, noise) for _ in range(count)]


def test_the_best_of_equals_is_worth_no_more_than_they_are() -> None:
    """Without the factor, the best of four with six values each looks 2 % better than it is."""
    draw = random.Random(5)
    raw, corrected = [], []
    for _ in range(400):
        four = sorted((values(1.0, draw) for _ in range(4)), key=statistics.geometric_mean, reverse=True)
        best = statistics.geometric_mean(four[0])
        raw.append(best)
        corrected.append(best * unlucky_factor(four[0], four[1:], 0.05))
    assert statistics.median(raw) > 1.015
    assert abs(statistics.median(corrected) - 1) < 0.01


def test_what_is_clearly_better_keeps_its_figure() -> None:
    draw = random.Random(6)
    best, others = (
        values(2.0, draw, noise=0.01),
        [values(1.0, draw, noise=0.01), values(1.1, draw, noise=0.01)],
    )
    assert unlucky_factor(best, others, 0.01) == pytest.approx(1.0, abs=0.005)


def test_a_winner_alone_or_of_one_value_owes_nothing_that_could_be_known() -> None:
    assert unlucky_factor([1.0, 1.1], [], 0.05) == 1.0
    assert unlucky_factor([1.1], [[1.0]], 0.05) == 1.0
    assert unlucky_factor([1.0, 1.0], [[1.0, 1.0]], 0.0) == 1.0


def test_others_that_were_disturbed_do_not_pull_the_winner_down() -> None:
    draw = random.Random(7)
    best, equal = values(1.0, draw, noise=0.005), values(0.999, draw, noise=0.005)
    slow = [value * 0.6 for value in values(1.0, draw, noise=0.2)]
    assert unlucky_factor(best, [equal, slow], 0.12) == pytest.approx(1.0, abs=0.01)
