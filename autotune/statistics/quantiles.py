"""Percentiles of a sample, how far they may be believed, and how many values it takes.

Percentiles are nearest-rank, so each is a value that was really seen. The bounds are distribution-free:
the number of values below the true percentile is binomial. They hold for independent values; where requests
queue behind each other they do not, and blocks must be compared instead (`autotune.statistics.paired`).

Source: G. J. Hahn, W. Q. Meeker, Statistical Intervals, chapter 5 (order statistics).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Confidence of the upper bounds."""

SUPPORT = 0.99
"""Confidence at which a percentile counts as supported. Source: MLPerf LoadGen, early stopping."""


def rank(count: int, percentile: float) -> int:
    """The nearest rank, from 1: the smallest with at least `percentile` % of the values at or below it.

    Raises:
        ValueError: there are no values, or the percentile is not within (0, 100].
    """
    if count < 1 or not 0 < percentile <= 100:
        raise ValueError(f"no percentile {percentile} of {count} values")
    # 1e-9 keeps products such as 0.07 * 100 = 7.000000000000001 from skipping a rank.
    return max(1, math.ceil(percentile / 100 * count - 1e-9))


def percentile_of(values: Sequence[float], percentile: float) -> float:
    """The nearest-rank percentile.

    Raises:
        ValueError: there are no values, or the percentile is not within (0, 100].
    """
    return percentile_of_sorted(sorted(values), percentile)


def percentile_of_sorted(ascending: Sequence[float] | NDArray[np.float64], percentile: float) -> float:
    """The nearest-rank percentile of values in ascending order; raises as `percentile_of` does."""
    return float(ascending[rank(len(ascending), percentile) - 1])


def upper_rank(count: int, percentile: float, confidence: float = CONFIDENCE) -> int | None:
    """The smallest rank whose value is at or above the true percentile with `confidence`; None = no rank is.

    The value of rank r is below it with probability P(Binomial(count, p) >= r).
    """
    from scipy.special import bdtr  # here: it takes longer to import than a worker to start

    below = percentile / 100
    low, high = 1, count + 1
    while low < high:
        middle = (low + high) // 2
        if bdtr(middle - 1, count, below) >= confidence:
            high = middle
        else:
            low = middle + 1
    return low if low <= count else None


def upper_bound(values: Sequence[float], percentile: float, confidence: float = CONFIDENCE) -> float | None:
    """A value that the true percentile does not exceed, with `confidence`; None = too few values to say."""
    if not values:
        return None
    at = upper_rank(len(values), percentile, confidence)
    return None if at is None else sorted(values)[at - 1]


def supports(count: int, percentile: float) -> bool:
    """Whether `count` values are enough to speak of this percentile at `SUPPORT`.

    They are if, were the true percentile worse than the estimate, two or more of them would have shown it:
    P(Binomial(count, 1 - p) <= 1) <= 1 - SUPPORT. That asks for 11 values at p50, 64 at p90, 130 at p95 and
    662 at p99; each of them has an `upper_bound` then.

    Source: MLPerf LoadGen, early_stopping.cc (MinPassingQueriesFinder with one query over the latency).
    """
    if count < 1:
        return False
    under = percentile / 100
    none_over = under**count
    one_over = count * (1 - under) * under ** (count - 1)
    return none_over + one_over <= 1 - SUPPORT + 1e-12


def needed_count(percentile: float) -> int:
    """The fewest values that support this percentile: 11 for p50, 64 for p90, 130 for p95, 662 for p99."""
    low, high = 1, 1
    while not supports(high, percentile):
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if supports(middle, percentile) else (middle + 1, high)
    return high
