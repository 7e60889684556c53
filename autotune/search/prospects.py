"""Which configuration is worth trying next: the one with the most expected gain per second of what is left.

What a trial may gain is the expected improvement over the best so far, of the logarithm of the goodness, by
what is believed (`autotune.search.beliefs`), times the share of its like that did not fail or miss a limit.
What it costs is the seconds of the trial and, unless its artifact is there, of preparing it. In this order:

1. the *defaults*, engines as their documentation starts them, as far as they are promising and cheap;
2. a first trial of everything else that is promising and cheap, in its best layout; and one on each smaller
   machine (`Configuration.cores`), of which a figure is asked for whether it is promising or not;
3. all else.

*Promising* is what has a probability of at least `PROMISING` to be better than the best so far; *cheap* is an
artifact that takes no more than `LARGEST_SHARE` of the search's seconds. What cannot be prepared in the time
that is left is not proposed, and named by `Prospects.unaffordable`.

Source: expected improvement: Jones, Schonlau and Welch, Efficient Global Optimization, 1998, equation 15; per
second of cost: Snoek, Larochelle and Adams, Practical Bayesian Optimization, 2012, section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from autotune.search.affording import affordable
from autotune.search.beliefs import Beliefs, Prior
from autotune.search.expectations import Expectation
from autotune.search.likeness import Floats, layout_likeness, layout_of, most_threads, suiting_likeness
from autotune.spec.configuration import Configuration, Prepared

DEFAULT, FIRST_TRIAL, LATER = range(3)
"""Turns, in their order."""
PROMISING = 0.2
"""Least probability to be better than the best so far. Source: stated; `studies/benchmarks/search_order.py`
prints what others cost."""
WORTH_A_WORD = 0.05
"""Least probability to be better than the best so far, of what is named as not tried. Source: stated."""
LARGEST_SHARE = 0.25
"""Of the search's seconds, for one artifact, while anything promising that takes less is unseen."""
MOST_COMPETING = 16
"""Layouts of what was tried that are weighed against first trials; the others are worth less."""
USUAL_TRIAL_S = 10.0
"""Of an engine whose trials are not known. Source: `START_UP_S` of `autotune.search.estimate`, and blocks."""
USUAL_PRICE_S = 20.0
"""Of an artifact whose price is not known. Source: `PREPARATION_S` of `autotune.search.estimate`."""
FAILING_PRIOR = 3.0
"""Trials that went well, as which the prior counts. Source: stated; one failure then takes a quarter from its
like, three take half."""

Known = Mapping[Configuration, float | None]
"""Goodness of what was tried, larger is better; None of what failed or misses a limit."""


Kind = TypeVar("Kind", bound=Hashable)


@dataclass(frozen=True)
class Prospects:
    """What trials may gain and cost.

    Attributes:
        prior: what is believed before anything is measured.
        prices_s: of preparing each artifact from now, with all that it needs; of one with knobs by default
            as much as of that without.
        trials_s: of a trial, launch and loading included, by backend.
        defaults: engines as their documentation starts them; they need not be in a search space.
        search_s: the search's part of the minutes; None = no bound.
    """

    prior: Prior
    prices_s: Mapping[Prepared, float] = field(default_factory=dict)
    trials_s: Mapping[str, float] = field(default_factory=dict)
    defaults: tuple[Configuration, ...] = ()
    search_s: float | None = None

    def ranked(
        self,
        candidates: Sequence[Configuration],
        known: Known,
        prepared: Collection[Prepared] = (),
        left_s: float = math.inf,
    ) -> tuple[Configuration, ...]:
        """Order what may be tried, most worth first; leave out what cannot be prepared in the time left.

        Equal ones stay in their order; nothing but the arguments decides.

        Args:
            candidates: untried and legal ones; those of `defaults` may be among them.
            prepared: artifacts that are there.
        """
        there = frozenset(prepared)
        fitting = [one for one in candidates if self.fits(one.prepared, there, left_s)]
        if not fitting:
            return ()
        pairs, of_pair = _indexed([one.prepared for one in fitting])
        measured = {one: value for one, value in known.items() if value}
        beliefs = self.prior.after(measured, fitting)
        reference = float(beliefs.mean.min()) if beliefs.best is None else beliefs.best
        gains = beliefs.spread * _expected_excess((beliefs.mean - reference) / beliefs.spread)
        prices_s = np.array([self._price_s(pair, there) for pair in pairs])
        costs_s = (prices_s + np.array([self._trial_s(pair) for pair in pairs]))[of_pair]
        worth = gains * self._going_well(fitting, known) / costs_s
        ahead = np.argsort(-worth, kind="stable")
        is_cheap = (prices_s <= self._most_price_s())[of_pair]
        turns = np.full(len(fitting), LATER, dtype=np.intp)
        for index in self._first_trials(fitting, ahead, beliefs, costs_s, reference, known, left_s):
            if is_cheap[index]:
                turns[index] = FIRST_TRIAL
        for index in _first_on_each_machine(fitting, ahead, known):
            if is_cheap[index]:
                turns[index] = FIRST_TRIAL
        for index in self._defaults_to_see(fitting, beliefs, known):
            if is_cheap[index]:
                turns[index] = DEFAULT
        order = np.lexsort((np.arange(len(fitting)), -worth, turns))
        return tuple(fitting[index] for index in order)

    def unaffordable(
        self,
        candidates: Sequence[Configuration],
        prepared: Collection[Prepared],
        left_s: float,
        known: Known | None = None,
    ) -> tuple[tuple[Prepared, float], ...]:
        """Name what cannot be prepared and tried in the time left, with the seconds that it needs.

        That which is most likely to be better than the best so far comes first; what hardly can be is left
        out.
        """
        there = frozenset(prepared)
        dear = [one for one in candidates if not self.fits(one.prepared, there, left_s)]
        if not dear:
            return ()
        beliefs = self.prior.after({one: value for one, value in (known or {}).items() if value}, dear)
        best = -math.inf if beliefs.best is None else beliefs.best
        chances: dict[Prepared, float] = {}
        for one, chance in zip(dear, ndtr((beliefs.mean - best) / beliefs.spread), strict=True):
            chances[one.prepared] = max(float(chance), chances.get(one.prepared, 0.0))
        named = sorted((pair for pair in chances if chances[pair] >= WORTH_A_WORD), key=lambda p: -chances[p])
        return tuple((pair, self._price_s(pair, there) + self._trial_s(pair)) for pair in named)

    def _first_trials(
        self,
        candidates: Sequence[Configuration],
        ahead: npt.NDArray[np.intp],
        beliefs: Beliefs,
        costs_s: Floats,
        reference: float,
        known: Known,
        left_s: float,
    ) -> list[int]:
        """The best layout of all that is promising, was not tried, and is to be seen in the time left.

        Other layouts of what was tried compete for that time.
        """
        best: dict[Prepared, int] = {}
        for index in ahead:
            best.setdefault(candidates[index].prepared, int(index))
        tried = {one.prepared for one in known}
        new = [index for pair, index in best.items() if pair not in tried]
        more = [int(index) for index in ahead if candidates[index].prepared in tried][:MOST_COMPETING]
        competing = np.array([*new, *more], dtype=np.intp)
        mean, spread = beliefs.mean[competing], beliefs.spread[competing]
        seen = set(range(len(competing)))
        if math.isfinite(left_s):
            seen &= affordable(mean, spread, costs_s[competing], reference, left_s)
        chances = _chances(mean, spread, reference)
        return [index for number, index in enumerate(new) if number in seen and chances[number] >= PROMISING]

    def owed_defaults(self, candidates: Iterable[Configuration], known: Known) -> tuple[Configuration, ...]:
        """Give the defaults that were not seen and may be the best of them, by which all is judged."""
        unseen = [one for one in candidates if one in self.defaults]
        if not unseen:
            return ()
        beliefs = self.prior.after({one: value for one, value in known.items() if value}, unseen)
        return tuple(unseen[index] for index in self._defaults_to_see(unseen, beliefs, known))

    def _defaults_to_see(
        self, candidates: Sequence[Configuration], beliefs: Beliefs, known: Known
    ) -> list[int]:
        """Defaults that may be the best of the defaults."""
        defaults = frozenset(self.defaults)
        indices = [index for index, candidate in enumerate(candidates) if candidate in defaults]
        measured = [math.log(value) for one, value in known.items() if value and one in defaults]
        chances = _chances(beliefs.mean[indices], beliefs.spread[indices], max(measured, default=-math.inf))
        return [index for index, chance in zip(indices, chances, strict=True) if chance >= PROMISING]

    def _going_well(self, candidates: Sequence[Configuration], known: Known) -> Floats | float:
        """The share of the like of each candidate that neither failed nor missed a limit."""
        failed = [one for one, value in known.items() if value is None]
        if not failed:
            return 1.0
        tried = tuple(known)
        pairs, of_pair = _indexed([one.prepared for one in candidates])
        layouts, of_layout = _indexed([layout_of(one) for one in candidates])
        engines = suiting_likeness([one.prepared for one in tried], pairs)
        places = layout_likeness([layout_of(one) for one in tried], layouts, self.prior.most_threads)
        weights = (engines[:, of_pair] + 1) / 2 * places[:, of_layout]
        went_well = np.array([known[one] is not None for one in tried], dtype=np.float64)
        share: Floats = (FAILING_PRIOR + went_well @ weights) / (FAILING_PRIOR + weights.sum(axis=0))
        return share

    def fits(self, pair: Prepared, there: Collection[Prepared], left_s: float) -> bool:
        """Whether it is there, or can be prepared and tried in the time left."""
        return pair in there or self._price_s(pair, there) + self._trial_s(pair) <= left_s

    def _price_s(self, pair: Prepared, there: Collection[Prepared]) -> float:
        usual_s = self.prices_s.get(pair._replace(knobs=""), USUAL_PRICE_S)
        return 0.0 if pair in there else self.prices_s.get(pair, usual_s)

    def _trial_s(self, pair: Prepared) -> float:
        return self.trials_s.get(pair.backend, USUAL_TRIAL_S)

    def _most_price_s(self) -> float:
        return math.inf if self.search_s is None else LARGEST_SHARE * self.search_s


def stated_prospects(
    configurations: Sequence[Configuration],
    expected: Mapping[Prepared, Expectation],
    defaults: Sequence[Configuration] = (),
    core_exponent: float = 0.0,
) -> Prospects:
    """What trials of these may gain and cost, where nothing is known of costs.

    Args:
        core_exponent: of the objective.
    """
    prior = Prior(expected, most_threads(configurations), core_exponent=core_exponent)
    return Prospects(prior, defaults=tuple(defaults))


def _first_on_each_machine(
    candidates: Sequence[Configuration], ahead: npt.NDArray[np.intp], known: Known
) -> list[int]:
    """The most worth trying on each smaller machine on which nothing was tried."""
    tried = {0, *(one.cores for one in known)}
    best: dict[int, int] = {}
    for index in ahead:
        best.setdefault(candidates[index].cores, int(index))
    return [index for cores, index in best.items() if cores not in tried]


def _indexed(values: Sequence[Kind]) -> tuple[tuple[Kind, ...], npt.NDArray[np.intp]]:
    """The different ones, and for each of the values the index of its own."""
    indices: dict[Kind, int] = {}
    of_value = [indices.setdefault(value, len(indices)) for value in values]
    return tuple(indices), np.array(of_value, dtype=np.intp)


def _chances(mean: Floats, spread: Floats, reference: float) -> Floats:
    """The probability of each to be better than the reference, and than what the best is expected to be."""
    leader = max(reference, float(mean.max())) if len(mean) else reference
    chances: Floats = ndtr((mean - leader) / spread)
    return chances


def _expected_excess(deviations: Floats) -> Floats:
    """The mean of what a standard normal variable has above -`deviations`, where it has anything."""
    density = np.exp(-(deviations**2) / 2) / math.sqrt(2 * math.pi)
    excess: Floats = np.maximum(density + deviations * ndtr(deviations), 0.0)
    return excess
