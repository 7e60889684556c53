"""What the best of several owes to luck, and what it is worth without."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.statistics.spread import deviation


@dataclass(frozen=True)
class Luck:
    """How far several that were measured alike differ by chance, once the best of them has been chosen.

    Attributes:
        middle: median of the logarithms of their geometric means.
        kept: share of their differences that chance does not explain.
    """

    middle: float = 0.0
    kept: float = 1.0

    def factor(self, values: Sequence[float]) -> float:
        """By what to multiply the geometric mean of one of them: it is moved towards the middle."""
        return math.exp((self.kept - 1) * (statistics.fmean(map(math.log, values)) - self.middle))


NO_LUCK = Luck()
"""Moves nothing."""


def luck(winner: Sequence[float], others: Sequence[Sequence[float]], spread: float) -> Luck:
    """Say what the winner and the others owe to luck, as it was chosen for being the best of them.

    They are moved towards the median of all by the share of their differences that chance explains: all
    the way where they differ by no more than chance lets equal ones differ, and not at all where they differ
    by much more. The median, so that one that was hit by a disturbance does not pull the others along.

    Source: B. Efron, C. Morris, Data Analysis Using Stein's Estimator and its Generalizations, JASA 70
    (1975): the positive-part empirical Bayes rule.

    Args:
        winner: its positive values; at least two, else there is `NO_LUCK`.
        others: those of each that is not shown to be worse; without any, likewise.
        spread: standard deviation of the logarithm of one value, as all of them together show it.
    """
    if not others or len(winner) < 2:
        return NO_LUCK
    logs = [math.log(value) for value in winner]
    means = [statistics.fmean(logs), *(statistics.fmean(map(math.log, values)) for values in others)]
    between = deviation(means) ** 2
    if between == 0:
        return NO_LUCK
    # Of the two spreads the smaller: what disturbs the others alone says nothing of the winner.
    own = min(spread, deviation(logs))
    count = statistics.fmean(map(len, (winner, *others)))
    return Luck(statistics.median(means), max(0.0, 1 - own**2 / count / between))
