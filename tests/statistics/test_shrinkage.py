from __future__ import annotations

import random
import statistics

import pytest

from autotune.statistics.shrinkage import NO_LUCK, luck


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
        corrected.append(best * luck(four[0], four[1:], 0.05).factor(four[0]))
    assert statistics.median(raw) > 1.015
    assert abs(statistics.median(corrected) - 1) < 0.01


def test_what_is_clearly_better_keeps_its_figure() -> None:
    draw = random.Random(6)
    best, others = (
        values(2.0, draw, noise=0.01),
        [values(1.0, draw, noise=0.01), values(1.1, draw, noise=0.01)],
    )
    assert luck(best, others, 0.01).factor(best) == pytest.approx(1.0, abs=0.005)


def test_a_winner_alone_or_of_one_value_owes_nothing_that_could_be_known() -> None:
    assert luck([1.0, 1.1], [], 0.05) == NO_LUCK
    assert luck([1.1], [[1.0]], 0.05) == NO_LUCK
    assert luck([1.0, 1.0], [[1.0, 1.0]], 0.0) == NO_LUCK
    assert NO_LUCK.factor([1.3, 1.2]) == 1.0


def test_others_that_were_disturbed_do_not_pull_the_winner_down() -> None:
    draw = random.Random(7)
    best, equal = values(1.0, draw, noise=0.005), values(0.999, draw, noise=0.005)
    slow = [value * 0.6 for value in values(1.0, draw, noise=0.2)]
    assert luck(best, [equal, slow], 0.12).factor(best) == pytest.approx(1.0, abs=0.01)


def test_the_worst_of_equals_is_worth_as_much_as_the_best() -> None:
    """Without the factors, the ratio of the worst of four to the best looks 4 % less than it is."""
    draw = random.Random(8)
    raw, corrected = [], []
    for _ in range(400):
        four = sorted((values(1.0, draw) for _ in range(4)), key=statistics.geometric_mean, reverse=True)
        ratio = statistics.geometric_mean(four[3]) / statistics.geometric_mean(four[0])
        found = luck(four[0], four[1:], 0.05)
        raw.append(ratio)
        corrected.append(ratio * found.factor(four[3]) / found.factor(four[0]))
    assert statistics.median(raw) < 0.97
    assert abs(statistics.median(corrected) - 1) < 0.015
