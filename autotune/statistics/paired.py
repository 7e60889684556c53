"""Ratios of two things that were measured side by side, and how surely one is the larger.

Speeds vary by factors, so everything is computed of logarithms: the mean of log-ratios is the log of a ratio,
and its interval cannot include a negative one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autotune.statistics.spread import deviation

CONFIDENCE = 0.95
"""Confidence of an interval, unless something else is said."""


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it.

    Attributes:
        low, high: they hold the true value with `confidence`; 0 and infinity where one value says nothing of
            its own spread.
        count: how many independent values it stands on.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    count: int

    def scaled(self, factor: float) -> Interval:
        """The same of values that are so many times as large."""
        return replace(self, estimate=self.estimate * factor, low=self.low * factor, high=self.high * factor)

    def moved(self, factor: float) -> Interval:
        """The same less what luck is thought to have added; that counts as unsure as it is large."""
        unsure = statistics.NormalDist().inv_cdf((1 + self.confidence) / 2) * math.log(factor)
        reach, estimate = math.hypot(self.half_width, unsure), self.estimate * factor
        return replace(
            self, estimate=estimate, low=estimate * math.exp(-reach), high=estimate * math.exp(reach)
        )

    @property
    def half_width(self) -> float:
        """Half the interval's length in logarithms, which for small ones is a share of the estimate."""
        return (math.log(self.high) - math.log(self.low)) / 2 if self.low > 0 else math.inf


def t_quantile(probability: float, freedom: float) -> float:
    """Student's t: the value that is not exceeded with this probability."""
    from scipy.special import stdtrit  # here: most of what imports this module needs no quantile

    return float(stdtrit(freedom, probability))


def t_tail(value: float, freedom: float) -> float:
    """Student's t: the probability of more than `value`."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -value))


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The geometric mean of positive values, and Student's interval of it.

    Raises:
        ValueError: there are no values, or one is not positive.
    """
    if not values or min(values) <= 0:
        raise ValueError(f"no geometric mean of {values!r:.80}")
    logs = [math.log(value) for value in values]
    center = statistics.fmean(logs)
    if len(logs) < 2:
        return Interval(math.exp(center), 0.0, math.inf, confidence, len(logs))
    error = deviation(logs) / math.sqrt(len(logs))
    reach = t_quantile((1 + confidence) / 2, len(logs) - 1) * error
    return Interval(
        math.exp(center), math.exp(center - reach), math.exp(center + reach), confidence, len(logs)
    )


def paired_ratio(ones: Sequence[float], others: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """How many times as large the ones are as the others beside which they were measured, value by value.

    Raises:
        ValueError: they are not equally many, or none, or one is not positive.
    """
    if len(ones) != len(others) or min((*ones, *others), default=0.0) <= 0:
        raise ValueError(f"no paired ratios of {len(ones)} and {len(others)} values")
    return mean_interval([one / other for one, other in zip(ones, others, strict=True)], confidence)
