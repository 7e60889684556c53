"""What the runs of a contest say of its configurations together: one model of all of them.

log(goodness) = configuration + round + slopes x covariates + error. What a whole round has in common cancels;
errors are heavy-tailed and equally spread, so that few rounds say more than pairs alone would; what the host
did to a run counts as far as the search and these runs have seen it matter; and the spread has a prior, from
the blocks of the search. Rounds may lack configurations.

Source: G. E. P. Box, J. S. Hunter, W. G. Hunter, Statistics for Experimenters, chapter 4 (randomized blocks
with covariates); the heavy tails, `autotune.statistics.linear`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from autotune.statistics.linear import TAILS, Fit, Floats, ScalePrior, fit
from autotune.statistics.paired import CONFIDENCE, Interval, mean_interval, t_quantile, t_tail

ROUND_SPREAD = 0.5
"""How far rounds may lie apart, as the spread of a normal prior on logarithms: half of the speed is nothing
unusual on a shared host, so that this keeps hardly anything of what rounds have in common in the errors."""

LEAST_NOISE = ScalePrior(scale=0.015, freedom=2.0)
"""Of one run within its round, before anything is known, and the least that a prior says: launches of one
configuration differ by a per cent or two where their blocks agree far better."""


@dataclass(frozen=True)
class ScoredRun:
    """One run of a configuration.

    Attributes:
        goodness: positive, larger is better.
        covariates: deviations from what is usual, as `ContestPrior.slopes` has them.
    """

    round: int
    configuration: str
    goodness: float
    covariates: tuple[float, ...] = ()


@dataclass(frozen=True)
class ContestPrior:
    """What the search has left to the contest.

    Attributes:
        noise: of one run's log goodness within its round.
        slopes: of log goodness on each covariate; errors: their standard errors.
        expected: what the slopes were expected to be before the search; empty = what they are.
    """

    noise: ScalePrior = LEAST_NOISE
    slopes: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()


@dataclass(frozen=True)
class Posterior:
    """The model's fit to the runs; without runs it says nothing."""

    runs: tuple[ScoredRun, ...]
    prior: ContestPrior = field(default_factory=ContestPrior)

    @cached_property
    def _columns(self) -> dict[str, int]:
        names = dict.fromkeys(run.configuration for run in self.runs)
        return {name: index for index, name in enumerate(names)}

    @cached_property
    def _fit(self) -> Fit:
        rounds = {number: index for index, number in enumerate(dict.fromkeys(run.round for run in self.runs))}
        first_round, first_slope = len(self._columns), len(self._columns) + len(rounds)
        design = np.zeros((len(self.runs), first_slope + len(self.prior.slopes)))
        for row, run in enumerate(self.runs):
            design[row, self._columns[run.configuration]] = 1.0
            design[row, first_round + rounds[run.round]] = 1.0
            if run.covariates:
                design[row, first_slope:] = run.covariates
        values = np.log([run.goodness for run in self.runs])
        middle = float(np.mean(values))
        return fit(
            design,
            values - middle,
            mean=[*[0.0] * first_slope, *self.prior.slopes],
            precision=[
                *[WIDE**-2] * first_round,
                *[ROUND_SPREAD**-2] * len(rounds),
                *(1 / error**2 for error in self.prior.errors),
            ],
            prior=self.prior.noise,
        )

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the spread, the prior's among them."""
        return self._fit.freedom

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of one run within its round."""
        return self._fit.scale * math.sqrt(TAILS / (TAILS - 2))

    def has(self, name: str) -> bool:
        """Whether a configuration was measured."""
        return name in self._columns

    def gap(self, name: str, other: str) -> tuple[float, float]:
        """By how much one is better in log goodness, and the standard error of that."""
        direction = np.zeros(len(self._fit.coefficients))
        direction[self._columns[name]] += 1.0
        direction[self._columns[other]] -= 1.0
        return self._fit.contrast(direction)

    def ratio(self, name: str, other: str, confidence: float = CONFIDENCE) -> Interval:
        """How many times as good one is as the other, with its interval."""
        center, error = self.gap(name, other)
        reach = t_quantile((1 + confidence) / 2, max(1.0, self.freedom)) * error
        count = min(self.count(name), self.count(other))
        return Interval(
            math.exp(center), math.exp(center - reach), math.exp(center + reach), confidence, count
        )

    def probability(self, name: str, other: str, times: float = 1.0) -> float:
        """That one is more than so many times as good as the other."""
        center, error = self.gap(name, other)
        distance = center - math.log(times)
        if error == 0:
            return float(distance > 0)
        return t_tail(-distance / error, max(1.0, self.freedom))

    def probability_of(self, ratio: Interval) -> float:
        """That a ratio, as `ratio` gives it and moved or not, is more than 1: as its interval has it."""
        freedom = max(1.0, self.freedom)
        error = ratio.half_width / t_quantile((1 + ratio.confidence) / 2, freedom)
        distance = math.log(ratio.estimate)
        return t_tail(-distance / error, freedom) if error > 0 else float(distance > 0)

    def expected(self, name: str) -> float:
        """Log goodness in the contest's average round, under usual conditions; only differences count."""
        return float(self._fit.coefficients[self._columns[name]])

    def values(self, name: str) -> list[float]:
        """Each goodness that was measured of one, brought to usual conditions."""
        slopes = self._fit.coefficients[self._first_slope :]
        own = [run.goodness for run in self.runs if run.configuration == name]
        return [float(value) for value in own * np.exp(-self._covariates(name) @ slopes)]

    def value(self, name: str, confidence: float = CONFIDENCE) -> Interval:
        """The geometric mean of `values`; its interval counts how unsure the slopes are, too."""
        plain = mean_interval(self.values(name), confidence)
        direction = np.zeros(len(self._fit.coefficients))
        direction[self._first_slope :] = self.conditions(name)
        _, error = self._fit.contrast(direction)
        by_slopes = t_quantile((1 + confidence) / 2, max(1.0, self.freedom)) * error
        reach = math.hypot(plain.half_width, by_slopes)
        return replace(plain, low=plain.estimate * math.exp(-reach), high=plain.estimate * math.exp(reach))

    def conditions(self, name: str) -> tuple[float, ...]:
        """The mean of each covariate over the runs of one, as deviations from what is usual."""
        return tuple(map(float, self._covariates(name).mean(axis=0)))

    def _covariates(self, name: str) -> Floats:
        """Of each run of one, (runs, slopes)."""
        usual = (0.0,) * len(self.prior.slopes)
        own = [run.covariates or usual for run in self.runs if run.configuration == name]
        return np.array(own, dtype=np.float64).reshape(len(own), len(usual))

    @property
    def _first_slope(self) -> int:
        """Index of the coefficients of covariates, which are the last."""
        return len(self._fit.coefficients) - len(self.prior.slopes)

    def count(self, name: str) -> int:
        """In how many runs one was measured."""
        return sum(run.configuration == name for run in self.runs)


WIDE = 100.0
"""Spread of the prior on configurations: none, in effect; with it every contrast has an answer."""
