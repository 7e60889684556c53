"""The randomised block design: several treatments, each run in every round, compared within the rounds.

The model is log(value) = treatment + round + error, the errors independent and equally spread. What a whole
round has in common (drift, a neighbour that came for a while) cancels, and the spread is estimated from all
treatments together, so that few rounds say more than pairs alone would. Rounds may lack treatments.

Source: G. E. P. Box, J. S. Hunter, W. G. Hunter, Statistics for Experimenters, chapter 4 (randomized blocks).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from autotune.statistics.paired import CONFIDENCE, Interval, t_quantile

Treatment = TypeVar("Treatment", bound=Hashable)

_Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Observed(Generic[Treatment]):
    """One positive value of a treatment in a round; several of one treatment in a round are replicates."""

    round: int
    treatment: Treatment
    value: float


class BlockDesign(Generic[Treatment]):
    """The least-squares fit of the model to what was observed."""

    def __init__(self, observed: Iterable[Observed[Treatment]]) -> None:
        self._observed = tuple(observed)
        treatments = dict.fromkeys(one.treatment for one in self._observed)
        rounds = dict.fromkeys(one.round for one in self._observed)
        self._column = {treatment: index for index, treatment in enumerate(treatments)}
        self._round_column = {number: len(treatments) + index for index, number in enumerate(rounds)}

    @cached_property
    def _design(self) -> _Matrix:
        """A row for each value: 1 in its treatment's column and in its round's."""
        matrix = np.zeros((len(self._observed), len(self._column) + len(self._round_column)))
        for row, one in enumerate(self._observed):
            matrix[row, self._column[one.treatment]] = 1.0
            matrix[row, self._round_column[one.round]] = 1.0
        return matrix

    @cached_property
    def _covariance(self) -> _Matrix:
        """Of the coefficients, but for the errors' variance; contrasts are unique although these are not."""
        return np.asarray(np.linalg.pinv(self._design.T @ self._design), dtype=np.float64)

    @cached_property
    def _effects(self) -> _Matrix:
        effects: _Matrix = self._covariance @ self._design.T @ self._logs
        return effects

    @cached_property
    def _logs(self) -> _Matrix:
        return np.array([math.log(one.value) for one in self._observed])

    @cached_property
    def freedom(self) -> int:
        """Degrees of freedom of the spread."""
        return len(self._observed) - int(np.linalg.matrix_rank(self._design))

    @cached_property
    def spread(self) -> float:
        """Standard deviation of one value's logarithm within its round; infinite without freedom."""
        if self.freedom < 1:
            return math.inf
        rest = self._logs - self._design @ self._effects
        return math.sqrt(float(rest @ rest) / self.freedom)

    def ratio(self, one: Treatment, other: Treatment, confidence: float = CONFIDENCE) -> Interval:
        """How many times as large one treatment is as the other, with Student's interval."""
        return self.product(((one, 1), (other, -1)), confidence)

    def product(self, factors: Sequence[tuple[Treatment, int]], confidence: float = CONFIDENCE) -> Interval:
        """Treatments multiplied and divided by each other, with Student's interval.

        Args:
            factors: treatments and their powers, which are 0 together, as rounds cancel of ratios alone:
                `((a, 1), (b, -1), (c, -1), (d, 1))` is (a / b) / (c / d).

        Raises:
            ValueError: the powers are not 0 together.
        """
        total = sum(power for _, power in factors)
        if total:
            raise ValueError(f"no ratio of powers that are {total} together")
        center, error = self._contrast(factors)
        count = min(self._count(one) for one, _ in factors)
        if self.freedom < 1:
            return Interval(math.exp(center), 0.0, math.inf, confidence, count)
        reach = t_quantile((1 + confidence) / 2, self.freedom) * error
        return Interval(
            math.exp(center), math.exp(center - reach), math.exp(center + reach), confidence, count
        )

    def _contrast(self, factors: Sequence[tuple[Treatment, int]]) -> tuple[float, float]:
        """The product's logarithm and its standard error."""
        direction = np.zeros(self._design.shape[1])
        for treatment, power in factors:
            direction[self._column[treatment]] += power
        variance = float(direction @ self._covariance @ direction)
        spread = self.spread if self.freedom >= 1 else 0.0
        return float(direction @ self._effects), spread * math.sqrt(max(0.0, variance))

    def _count(self, treatment: Treatment) -> int:
        return sum(one.treatment == treatment for one in self._observed)
