"""The heavy-tailed linear model: what it estimates, how surely, and what a prior is worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.statistics.linear import FLOOR, Fit, ScalePrior, fit
from autotune.statistics.paired import t_quantile

NOTHING = ScalePrior()


def fitted(design: object, values: object, *, precision: float = 0.0, prior: ScalePrior = NOTHING) -> Fit:
    """Fit with the same prior of every coefficient, around 0."""
    matrix = np.asarray(design, dtype=float)
    count = matrix.shape[1]
    return fit(matrix, values, mean=[0.0] * count, precision=[precision] * count, prior=prior)  # type: ignore[arg-type]


def test_without_noise_the_coefficients_are_found() -> None:
    design = [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]
    found = fitted(design, [1.0, 3.0, 5.0, 7.0])
    assert found.coefficients == pytest.approx([1.0, 2.0])
    assert found.scale == FLOOR
    assert found.contrast([1.0, 1.0])[0] == pytest.approx(3.0)


def test_a_spike_pulls_little() -> None:
    values = [0.01, -0.02, 0.0, 0.02, -0.01, 0.01, 0.0, 1.0]
    robust = fitted(np.ones((8, 1)), values).coefficients[0]
    assert abs(robust) < 0.05 < float(np.mean(values))


def test_a_prior_counts_until_values_say_more() -> None:
    design, values = np.ones((2, 1)), [1.0, 1.2]
    prior = ScalePrior(scale=0.1, freedom=100.0)
    firm = fit(design, values, mean=[0.0], precision=[1e8], prior=prior)
    loose = fit(design, values, mean=[0.0], precision=[1e-8], prior=prior)
    assert firm.coefficients[0] == pytest.approx(0.0, abs=1e-3)
    assert loose.coefficients[0] == pytest.approx(1.1, abs=1e-3)
    assert firm.covariance[0, 0] < loose.covariance[0, 0]


def test_what_has_no_value_of_its_own_is_as_unsure_as_its_prior() -> None:
    found = fit(
        [[1.0, 0.0], [1.0, 0.0]], [0.0, 0.1], mean=[0.0, 0.7], precision=[0.0, 4.0], prior=ScalePrior(0.1, 5)
    )
    assert found.coefficients[1] == pytest.approx(0.7)
    assert math.sqrt(found.covariance[1, 1]) == pytest.approx(0.5)


def test_without_any_freedom_nothing_is_known_of_the_scale() -> None:
    found = fitted([[1.0]], [0.3])
    assert (found.freedom, found.scale) == (0.0, FLOOR)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 0.3))
def test_the_scale_is_that_of_the_errors(seed: int, spread: float) -> None:
    values = np.random.default_rng(seed).standard_t(5, 400) * spread
    found = fitted(np.ones((400, 1)), values)
    assert found.scale == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize(("tails", "most"), [(5.0, 0.975), (50.0, 0.99)])
def test_intervals_of_few_values_hold_the_truth_as_often_as_they_say(tails: float, most: float) -> None:
    """Four entrants in three rounds, what a confirmation has; normal errors are better than it expects."""
    random, holding, count = np.random.default_rng(1), 0, 1500
    rows = [(number, entrant) for number in range(3) for entrant in range(4)]
    design = np.array(
        [
            [float(e == entrant) for e in range(4)] + [float(r == number) for r in range(3)]
            for number, entrant in rows
        ]
    )
    for _ in range(count):
        values = 0.1 * random.standard_t(tails, 12)
        found = fit(
            design,
            values,
            mean=[0.0] * 7,
            precision=[1e-4] * 4 + [4.0] * 3,
            prior=ScalePrior(0.1, 3.0),
        )
        center, error = found.contrast([1, -1, 0, 0, 0, 0, 0])
        holding += abs(center) <= t_quantile(0.975, found.freedom) * error
    assert 0.93 < holding / count < most
