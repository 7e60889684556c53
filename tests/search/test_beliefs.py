"""What is believed after measuring is the Gaussian process of the book, computed by this thread alone."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest

from autotune.search.beliefs import (
    FACTOR_SPREAD,
    LAYOUT_FACTORS,
    LAYOUT_SPREAD,
    LOOK_FACTORS,
    NOISE,
    SUITING_SPREAD,
    Prior,
)
from autotune.search.expectations import Expectation
from autotune.search.likeness import (
    SHARE_EXPONENT,
    Floats,
    filled_shares,
    layout_likeness,
    layout_of,
    most_threads,
)
from autotune.spec.configuration import Configuration, Prepared

ENGINE = "an-engine"
LAYOUTS = tuple(
    Configuration(instances, threads, "close", "0", False, ENGINE, "fp32")
    for instances, threads in product((1, 2, 3, 4), (1, 2, 3, 4))
)
LOOK = Expectation(math.log(10.0), 0.1)
PRIOR = Prior({Prepared("", ENGINE, "fp32"): LOOK}, most_threads(LAYOUTS))

Factors = tuple[float, float]


def expected(layouts: Sequence[Configuration]) -> Floats:
    shares = filled_shares([layout_of(layout) for layout in layouts], PRIOR.most_threads)
    return LOOK.log_speed + SHARE_EXPONENT * np.log(shares)


def covariance(factors: Factors) -> Floats:
    """Of all layouts, which are of one engine."""
    looks, layouts = factors
    everything = [layout_of(layout) for layout in LAYOUTS]
    likeness = layout_likeness(everything, everything, PRIOR.most_threads)
    of_layouts: Floats = layouts**2 * (LAYOUT_SPREAD**2 + SUITING_SPREAD**2) * likeness
    return (looks * LOOK.spread) ** 2 + of_layouts


def plausibility(factors: Factors, surprise: Floats) -> float:
    """The logarithm of the posterior density: equation 2.45, as it is written."""
    count = len(surprise)
    within = covariance(factors)[:count, :count] + NOISE**2 * np.eye(count)
    inverse, ones = np.linalg.inv(within), np.ones(count)
    certainty = ones @ inverse @ ones
    misfit = surprise @ inverse @ surprise - (ones @ inverse @ surprise) ** 2 / certainty
    unlikely = sum(math.log(factor) ** 2 for factor in factors) / FACTOR_SPREAD**2
    return float(-misfit - np.linalg.slogdet(within)[1] - math.log(certainty) - unlikely) / 2


def conditional(factors: Factors, surprise: Floats) -> tuple[Floats, Floats]:
    """Mean and spread of all layouts that were not measured: equations 2.25, 2.26 and 2.42."""
    count = len(surprise)
    everything = covariance(factors)
    across, ones = everything[:count, count:], np.ones(count)
    inverse = np.linalg.inv(everything[:count, :count] + NOISE**2 * np.eye(count))
    level = (ones @ inverse @ surprise) / (ones @ inverse @ ones)
    mean = expected(LAYOUTS[count:]) + level + across.T @ inverse @ (surprise - level)
    unsure = (1 - ones @ inverse @ across) ** 2 / (ones @ inverse @ ones)
    variance = np.diag(everything)[count:] - np.diag(across.T @ inverse @ across) + unsure
    return mean, np.sqrt(variance)


@pytest.mark.parametrize("swing", [1.0, 1.2, 8.0])
@pytest.mark.parametrize("count", [1, 2, 8, 12])
def test_the_most_plausible_spreads_are_taken_and_conditioned_on_what_was_measured(
    count: int, swing: float
) -> None:
    speeds = [10.0 * swing ** (index % 3) for index in range(count)]
    beliefs = PRIOR.after(dict(zip(LAYOUTS, speeds, strict=False)), LAYOUTS[count:])
    surprise = np.log(speeds) - expected(LAYOUTS[:count])
    factors = max(product(LOOK_FACTORS, LAYOUT_FACTORS), key=lambda factors: plausibility(factors, surprise))
    mean, spread = conditional(factors, surprise)
    assert beliefs.mean == pytest.approx(mean)
    assert beliefs.spread == pytest.approx(spread)


def test_a_swing_of_layouts_makes_all_that_is_not_measured_less_sure() -> None:
    calm, wild = (
        {layout: 10.0 * swing ** (index % 2) for index, layout in enumerate(LAYOUTS[:8])}
        for swing in (1.0, 8.0)
    )
    unsure = PRIOR.after(wild, LAYOUTS[8:]).spread > PRIOR.after(calm, LAYOUTS[8:]).spread
    assert unsure.all()


def test_believing_takes_no_thread_beside_its_own() -> None:
    """Threads of a linear algebra library wait for each other where others compute."""
    known = {layout: float(index + 1) for index, layout in enumerate(LAYOUTS)}
    PRIOR.after(known, LAYOUTS)
    process_s, thread_s = time.process_time(), time.thread_time()
    for _ in range(50):
        PRIOR.after(known, LAYOUTS)
    thread_s = time.thread_time() - thread_s
    assert time.process_time() - process_s < 1.5 * thread_s
