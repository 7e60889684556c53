"""How many values a figure needs, and when one thing is clearly worse than another: rules that stay true when
they are asked again after every value.

Everything is computed of logarithms, so that spreads, margins and precisions are shares.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from autotune.statistics.paired import CONFIDENCE, t_quantile, t_tail
from autotune.statistics.spread import deviation

PRECISION = 0.02
"""Half the length of the interval that is narrow enough: differences below it are ties for a plan."""

ALPHA = 0.05
"""Probability, over all looks together, of calling worse what is not."""

MARGIN = 0.05
"""So much worse than the best is not yet clearly worse.

Blocks of one launch agree better than launches of one configuration do, which differ by a few per cent; and
the best of many looks up to two standard deviations better than it is.
"""

FLOOR = 0.02
"""The smallest spread of single values believed in: a few values agree better by chance than others will."""

SINGLE = 4.0
"""One pair of values convinces only beyond so many standard deviations of it: one value can be hit by what no
normal distribution knows of, the second one hardly by the same."""


def needed_count(
    values: Sequence[float],
    *,
    spread: float = 0.0,
    freedom: int = 0,
    precision: float = PRECISION,
    confidence: float = CONFIDENCE,
) -> float:
    """How many values make the geometric mean known to `precision`; infinity = that cannot be said yet.

    Stein's two-stage rule: the spread of the *first* values alone decides how many there are to be,
    N = (t s / precision)², with the quantile t of s's own degrees of freedom. The mean of all N is within
    `precision` of the truth with `confidence`, whatever the true spread is. Nothing is decided later, so
    that there are no repeated looks to be accounted for; an interval that is looked at after every value,
    until it is narrow, is not wide enough.

    The spread of comparable earlier values is pooled with their own; where their own is larger, it counts
    alone, with the degrees of freedom of both.

    Source: C. Stein, A two-sample test for a linear hypothesis whose power is independent of the variance,
    Annals of Mathematical Statistics 16 (1945) 243-258.

    Args:
        values: the first ones, positive; always the same however many there are by now.
        spread: standard deviation of logarithms that is known from elsewhere, with its degrees of freedom.
    """
    own = len(values) - 1
    together = freedom + own
    if together < 1:
        return math.inf
    scatter = deviation(map(math.log, values)) if own > 0 else 0.0
    pooled = math.sqrt((freedom * spread**2 + max(own, 0) * scatter**2) / together)
    reach = t_quantile((1 + confidence) / 2, together) * max(pooled, scatter)
    return max(len(values), math.ceil((reach / precision) ** 2))


def is_worse(
    ones: Sequence[float],
    others: Sequence[float],
    *,
    spread: float,
    freedom: int,
    margin: float = MARGIN,
    alpha: float = ALPHA,
) -> bool:
    """Whether the newest pair makes it clear that the ones are worse, by more than `margin`, than the others.

    A one-sided t test of the log-ratios, pair by pair; H0: the ones are `margin` worse, or less, or better.
    To be asked after every pair: look k may err with probability alpha / (k (k + 1)), and these add up to
    alpha however many looks there are (Bonferroni's inequality, so that it does not matter how the looks
    depend on each other). The pairs' standard deviation is √2 times the `spread` of single values,
    but no less than that of the pairs seen; one pair alone must be `SINGLE` of them beyond the margin.

    Source: the sum of 1 / (k (k + 1)) is 1; spending of alpha over looks: K. K. G. Lan, D. L. DeMets,
    Discrete sequential boundaries for clinical trials, Biometrika 70 (1983) 659-663.

    Args:
        ones, others: positive, larger is better, in the order in which they were measured. Without a new
            pair there is no new look, and the answer is no.
        spread: standard deviation of the logarithms of single values, from `freedom` degrees of freedom.
    """
    look = len(ones)
    together = freedom + look - 1
    if not 0 < look <= len(others) or together < 1:
        return False
    losses = [math.log(other / one) for one, other in zip(ones, others, strict=False)]
    scatter = deviation(losses) if look > 1 else 0.0
    error = max(math.sqrt(2) * max(spread, FLOOR), scatter) / math.sqrt(look)
    distance = (statistics.fmean(losses) + math.log(1 - margin)) / error
    if look == 1 and distance < SINGLE:
        return False
    return t_tail(distance, together) <= alpha / (look * (look + 1))
