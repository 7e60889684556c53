"""What is believed of the speed of every configuration, by what is expected and what was measured.

The logarithm of a goodness is a sum:

    level of all + expectation of engine and precision + how far that is off
    + effect of the layout, shared by all engines + how it suits this engine + noise of measuring

The level is not known at all; the other terms are normal, with the spreads stated here and the likenesses of
`autotune.search.likeness`. That is a Gaussian process with a constant mean under a flat prior, and what is
believed after measuring is its conditional distribution. Looks may be worse than stated, and layouts matter
more or less: of a few factors of both spreads, the most plausible ones after what was measured are taken.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 2.25, 2.26, 2.42 (the
conditional distribution) and 2.45 (how plausible, for the limit of a flat prior).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from autotune.search.expectations import STRANGER_SPREAD, Expectation
from autotune.search.likeness import (
    SHARE_EXPONENT,
    Floats,
    Layout,
    charged_shares,
    filled_shares,
    layout_likeness,
    layout_of,
    speed_likeness,
    suiting_likeness,
)
from autotune.spec.configuration import Configuration, Prepared

LAYOUT_SPREAD = 0.3
"""Of the effect of a layout on all engines alike. Source: stated; two that are a factor of two apart then
differ by 0.2, where 1 x 2 and 2 x 1 differ by 0.13 on the mean over engines (Zen 3 guest)."""
SUITING_SPREAD = 0.15
"""Of how a layout suits an engine more than others. Source: stated; the ratio of 2 x 1 to 1 x 2 scatters by
0.08 between engines there, noise included, and by more where there are more cores to lay out."""
NOISE = 0.07
"""Of one trial. Source: stated; between the 3 % of a quiet host and the 10 % of a shared guest."""

LOOK_FACTORS, LAYOUT_FACTORS = (0.5, 1.0, 2.0, 4.0), (0.5, 1.0, 2.0)
"""Of the stated spreads of expectations and layouts, of which the most plausible ones are taken."""
FACTOR_SPREAD = 0.7
"""Of the logarithm of a factor, before anything is measured: twice or half as much is usual. Stated."""


@dataclass(frozen=True)
class Beliefs:
    """What is believed of each of some configurations, in their order.

    Attributes:
        mean: of the logarithm of its goodness; without any measurement in the expectations' unit.
        spread: standard deviation of what is not known of it.
        best: the highest mean among those that were measured; None without any.
    """

    mean: Floats
    spread: Floats
    best: float | None


@dataclass(frozen=True)
class Prior:
    """What is believed before anything is measured.

    Attributes:
        expectations: of all that is prepared; what has knobs of its own may be missing.
        most_threads: of any configuration, without and with SMT siblings.
        noise: standard deviation of the logarithm of a measured goodness.
        core_exponent: by which power of the cores that a layout takes its goodness falls, beside its speed.
    """

    expectations: Mapping[Prepared, Expectation]
    most_threads: Mapping[bool, int]
    noise: float = NOISE
    core_exponent: float = 0.0

    def after(self, known: Mapping[Configuration, float], asked: Sequence[Configuration]) -> Beliefs:
        """Say what is believed of the asked configurations after these goodnesses, above 0, were measured."""
        wanted = _Points.of(asked)
        if not known:
            return Beliefs(self._mean(wanted), np.sqrt(self._variances(wanted, _Factors())), None)
        seen = _Points.of(tuple(known))
        surprise = np.log(np.array(list(known.values()))) - self._mean(seen)
        within = self._covariances(seen, seen)
        noise = self.noise**2 * np.eye(len(known))
        factors = _most_plausible(within, noise, surprise)
        between, across = within.times(factors), self._covariances(seen, wanted).times(factors)
        ones = np.ones(len(known))
        solved = np.linalg.solve(between + noise, np.column_stack((ones, surprise, across)))
        by_ones, by_surprise, by_across = solved[:, 0], solved[:, 1], solved[:, 2:]
        certainty = float(ones @ by_ones)
        level = float(ones @ by_surprise) / certainty
        weights = by_surprise - level * by_ones
        variance = self._variances(wanted, factors) - np.einsum("ij,ij->j", across, by_across)
        variance += (1 - ones @ by_across) ** 2 / certainty
        fitted = self._mean(seen) + level + between @ weights
        mean = self._mean(wanted) + level + weights @ across
        return Beliefs(mean, np.sqrt(np.maximum(variance, 1e-12)), float(fitted.max()))

    def expected(self, pair: Prepared) -> Expectation:
        """What is expected of it; with knobs of its own as much as without."""
        found = self.expectations.get(pair) or self.expectations.get(pair._replace(knobs=""))
        return found or Expectation(0.0, STRANGER_SPREAD)

    def _spreads(self, points: _Points) -> Floats:
        return np.array([self.expected(pair).spread for pair in points.pairs])

    def _mean(self, points: _Points) -> Floats:
        by_pair = np.array([self.expected(pair).log_speed for pair in points.pairs])
        filled = np.log(filled_shares(points.layouts, self.most_threads))
        charged = np.log(charged_shares(points.layouts, self.most_threads))
        by_layout = SHARE_EXPONENT * filled - self.core_exponent * charged
        mean: Floats = by_pair[points.pair] + by_layout[points.layout]
        return mean

    def _variances(self, points: _Points, factors: _Factors) -> Floats:
        layouts = (factors.layouts * LAYOUT_SPREAD) ** 2 + (factors.layouts * SUITING_SPREAD) ** 2
        variances: Floats = (factors.looks * self._spreads(points)[points.pair]) ** 2 + layouts
        return variances

    def _covariances(self, some: _Points, others: _Points) -> _Covariances:
        """A row for each of `some`; every likeness is computed once for each pair and each layout."""
        off = np.outer(self._spreads(some), self._spreads(others)) * speed_likeness(some.pairs, others.pairs)
        shared = LAYOUT_SPREAD**2 + SUITING_SPREAD**2 * suiting_likeness(some.pairs, others.pairs)
        layouts = layout_likeness(some.layouts, others.layouts, self.most_threads)
        pairs = np.ix_(some.pair, others.pair)
        return _Covariances(off[pairs], shared[pairs] * layouts[np.ix_(some.layout, others.layout)])


@dataclass(frozen=True)
class _Factors:
    """By how much looks are further off than stated, and layouts matter more."""

    looks: float = 1.0
    layouts: float = 1.0

    @property
    def before(self) -> float:
        """The logarithm of their density before anything is measured, but for a constant."""
        return -(math.log(self.looks) ** 2 + math.log(self.layouts) ** 2) / (2 * FACTOR_SPREAD**2)


_ALL_FACTORS = tuple(_Factors(looks, layouts) for looks, layouts in product(LOOK_FACTORS, LAYOUT_FACTORS))


@dataclass(frozen=True)
class _Covariances:
    """Of how far expectations are off, and of all that layouts do, at the stated spreads."""

    looks: Floats
    layouts: Floats

    def times(self, factors: _Factors) -> Floats:
        """Their sum, with spreads that are so many times as wide."""
        total: Floats = factors.looks**2 * self.looks + factors.layouts**2 * self.layouts
        return total


def _most_plausible(within: _Covariances, noise: Floats, surprise: Floats) -> _Factors:
    """Give the factors whose posterior density is the highest after these surprises."""
    covariances = [within.times(factors) + noise for factors in _ALL_FACTORS]
    lower: Floats = np.linalg.cholesky(np.array(covariances, dtype=np.float64))
    white = _whitened(lower, np.column_stack((np.ones(len(surprise)), surprise)))
    certainty, cross, square = (
        np.einsum("fn,fn->f", white[:, :, left], white[:, :, right]) for left, right in _WHITE_PRODUCTS
    )
    logs = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    fits = -(square - cross**2 / certainty) / 2 - logs - np.log(certainty) / 2
    best = int(np.argmax(fits + [factors.before for factors in _ALL_FACTORS]))
    return _ALL_FACTORS[best]


_WHITE_PRODUCTS = ((0, 0), (0, 1), (1, 1))
"""Columns of ones and of surprises, whitened: each with itself, and both together."""


def _whitened(lower: Floats, columns: Floats) -> Floats:
    """Solve `lower @ x = columns` for a stack of lower triangular matrices at once, (f, n, n) and (n, k).

    `scipy.linalg.solve_triangular` does it for one matrix, with threads on every cpu however small that is.
    Where others compute, the threads wait for each other: 43 ms for 12 rows on a busy host of two cpus, and
    0.01 ms without threads. A search asks for twelve of these before every trial.
    """
    solved = np.zeros((len(lower), *columns.shape))
    for row, values in enumerate(columns):
        rest = values - np.einsum("fj,fjk->fk", lower[:, row, :row], solved[:, :row])
        solved[:, row] = rest / lower[:, row, row, None]
    return solved


@dataclass(frozen=True)
class _Points:
    """Configurations as indices into what is prepared and into layouts."""

    pairs: tuple[Prepared, ...]
    layouts: tuple[Layout, ...]
    pair: npt.NDArray[np.intp]
    layout: npt.NDArray[np.intp]

    @classmethod
    def of(cls, configurations: Sequence[Configuration]) -> _Points:
        pairs: dict[Prepared, int] = {}
        layouts: dict[Layout, int] = {}
        pair = [pairs.setdefault(one.prepared, len(pairs)) for one in configurations]
        layout = [layouts.setdefault(layout_of(one), len(layouts)) for one in configurations]
        return cls(
            tuple(pairs), tuple(layouts), np.array(pair, dtype=np.intp), np.array(layout, dtype=np.intp)
        )
