"""The standard deviation of a sample of floats."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable


def deviation(values: Iterable[float]) -> float:
    """The sample's standard deviation, with n - 1.

    `statistics.stdev` gives the same but works in fractions, an order of magnitude slower, and races ask
    after every block.

    Raises:
        ValueError: there are fewer than two values.
    """
    sample = list(values)
    if len(sample) < 2:
        raise ValueError(f"no standard deviation of {len(sample)} values")
    mean = statistics.fmean(sample)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in sample) / (len(sample) - 1))
