"""What the best of several owes to luck, and what it is worth without."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from autotune.statistics.spread import deviation


def unlucky_factor(winner: Sequence[float], others: Sequence[Sequence[float]], spread: float) -> float:
    """By what to multiply the geometric mean of the winner's values, as it was chosen for being the best.

    The winner is moved towards the median of all by the share of their differences that chance explains: all
    the way where they differ by no more than chance lets equal ones differ, and not at all where they differ
    by much more. The median, so that one that was hit by a disturbance does not pull it along.

    Source: B. Efron, C. Morris, Data Analysis Using Stein's Estimator and its Generalizations, JASA 70
    (1975): the positive-part empirical Bayes rule.

    Args:
        winner: its positive values; at least two, else 1 is given.
        others: those of each that is not shown to be worse; without any, 1 is given.
        spread: standard deviation of the logarithm of one value, as all of them together show it.
    """
    if not others or len(winner) < 2:
        return 1.0
    logs = [math.log(value) for value in winner]
    means = [statistics.fmean(logs), *(statistics.fmean(map(math.log, values)) for values in others)]
    between = deviation(means) ** 2
    if between == 0:
        return 1.0
    # Of the two spreads the smaller: what disturbs the others alone says nothing of the winner.
    own = min(spread, deviation(logs))
    count = statistics.fmean(map(len, (winner, *others)))
    kept = max(0.0, 1 - own**2 / count / between)
    return math.exp((kept - 1) * (means[0] - statistics.median(means)))
