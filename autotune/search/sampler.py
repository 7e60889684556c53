"""The Optuna sampler that proposes legal, untried configurations only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from autotune.objectives.objective import Objective
from autotune.search.distributions import distributions
from autotune.search.order import promising_order
from autotune.search.outcomes import (
    Outcomes,
    configuration_of,
    finished,
    goodness_by_configuration,
    outcomes,
    passing,
)
from autotune.search.prospects import Known, Prospects, stated_prospects
from autotune.search.second_stage import SecondStage
from autotune.search.space import SearchSpace
from autotune.spec.configuration import Configuration, Prepared

ATTEMPTS = 2
"""Trials of one configuration in one run of a study, when the host disturbed the first."""


_Question = tuple[Prospects, list[Configuration], Known, frozenset[Prepared], float]
"""What a ranking depends on; it is asked for several times before a trial, and answered once."""


class NothingLeftError(ValueError):
    """Says that nothing may be proposed any more."""


class LegalSampler(BaseSampler):
    """Picks among the legal configurations that are neither tried nor ruled out by failures.

    First the baseline, then what `Prospects` rank highest. When the first stage is over,
    `autotune.search.second_stage` says whose knobs are turned; then the rest. The queue is kept here and not
    in the storage (`Study.enqueue_trial`), so that failures can shorten it. Every choice depends only on the
    study's trials, the prospects and the time left, so a resumed study goes on as it would have.

    Optuna keeps the trials and its own samplers propose nothing: on 16 simulated cores its TPE, from the 26th
    trial on, left a regret of 0.3 and 1.1 % after 20 and 60 minutes where the prospects leave 0.3 and 1.0 %
    (three kinds of cpu of `studies/benchmarks/search_order.py`, three seeds of each).
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        objective: Objective,
        second: SecondStage | None = None,
        prospects: Prospects | None = None,
    ) -> None:
        """Sample from `space`.

        Args:
            seed: which of equally promising ones comes first.
            objective: what scores are of.
            second: what comes after the first stage; None = nothing.
            prospects: what trials may gain and cost; None = as stated, where nothing was looked at.
        """
        self.distributions = distributions(space)
        self._baseline = space.baseline
        self._ordered = (*space.recipes, *promising_order(space.configurations, seed))
        self._objective = objective
        self._second = second
        self._prospects = prospects or stated_prospects(
            space.configurations, space.expected, space.defaults, objective.core_exponent
        )
        self._there: frozenset[Prepared] = frozenset()
        self._left_s = math.inf
        self._answered: tuple[_Question, tuple[Configuration, ...]] | None = None
        self._turns_knobs = False
        self._dropped: set[Prepared] = set()
        self._put_off: set[Configuration] = set()
        self._disturbed: Counter[Configuration] = Counter()
        self._passing: frozenset[int] = frozenset()

    def rank_by(self, prospects: Prospects) -> None:
        """Order by these prospects from now on; their defaults may be proposed, too."""
        self._prospects = prospects

    def mind(self, left_s: float, there: Collection[Prepared] = ()) -> None:
        """Propose only what can be prepared in the seconds left.

        Args:
            there: artifacts that are there already; those of measured trials always are.
        """
        self._left_s, self._there = left_s, frozenset(there)

    def disturbed(self, configuration: Configuration) -> None:
        """Count a trial that the host disturbed: it is proposed once more, after all that is new."""
        self._disturbed[configuration] += 1

    def drop(self, configuration: Configuration) -> None:
        """Propose what is prepared for it no more while this sampler lives."""
        self._dropped.add(configuration.prepared)

    def put_off(self, configuration: Configuration) -> None:
        """Propose it no more while this sampler lives: why it failed may pass, but not so soon.

        Or it was not tried at all, as there is no room for it.
        """
        self._put_off.add(configuration)

    def may_pass(self, numbers: Collection[int]) -> None:
        """Take these failed trials for ones whose reason may pass, whatever Optuna was told of them."""
        self._passing = frozenset(numbers)

    def turn_knobs(self, *, now: bool) -> None:
        """Begin the second stage, however few trials the first has had; or leave it to their number."""
        self._turns_knobs = now

    def untried(self, trials: Sequence[FrozenTrial]) -> tuple[Configuration, ...]:
        """What may still be proposed, most promising first; empty when the space is exhausted.

        Or when nothing that is left can be prepared in the time that is left; see `unaffordable`.
        """
        trials = self._as_known(trials)
        known = outcomes(trials)
        first = [one for one in (self._baseline,) if self._is_open(one, known)]
        left = self._ranked(trials, known)
        if self._second is not None and (not left or self._is_first_over(self._second, trials)):
            left = self._moves(self._second, trials, known) or left
        return tuple(sorted((*first, *left), key=lambda one: self._disturbed[one]))

    def owed_defaults(self, trials: Sequence[FrozenTrial]) -> tuple[Configuration, ...]:
        """Give the defaults that were not seen, may be the best of them, and may be proposed."""
        trials = self._as_known(trials)
        goodness = goodness_by_configuration(trials, self._objective)
        return self._prospects.owed_defaults(self._candidates(outcomes(trials)), goodness)

    def unaffordable(self, trials: Sequence[FrozenTrial]) -> tuple[tuple[Prepared, float], ...]:
        """Name what is not proposed because it cannot be prepared in time, with the seconds it needs."""
        trials = self._as_known(trials)
        there, known = self._prepared(trials), outcomes(trials)
        goodness = goodness_by_configuration(trials, self._objective)
        return self._prospects.unaffordable(self._candidates(known), there, self._left_s, goodness)

    def _as_known(self, trials: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
        """The trials with what is known by now of those that failed: Optuna changes no finished one."""
        return [passing(one) if one.number in self._passing else one for one in trials]

    def _ranked(self, trials: Sequence[FrozenTrial], known: Outcomes) -> tuple[Configuration, ...]:
        question: _Question = (
            self._prospects,
            self._candidates(known),
            goodness_by_configuration(trials, self._objective),
            self._prepared(trials),
            self._left_s,
        )
        if self._answered is None or self._answered[0] != question:
            prospects, candidates, goodness, there, left_s = question
            self._answered = (question, prospects.ranked(candidates, goodness, there, left_s))
        return self._answered[1]

    def _candidates(self, known: Outcomes) -> list[Configuration]:
        everything = dict.fromkeys((*self._prospects.defaults, *self._ordered))
        everything.pop(self._baseline, None)
        return [one for one in everything if self._is_open(one, known)]

    def _prepared(self, trials: Sequence[FrozenTrial]) -> frozenset[Prepared]:
        """What is there, or was: what was measured."""
        measured = {configuration_of(one).prepared for one in trials if one.state == TrialState.COMPLETE}
        return self._there | measured

    def _is_open(self, one: Configuration, known: Outcomes) -> bool:
        return self._may_propose(one) and not known.rules_out(one)

    def _is_first_over(self, second: SecondStage, trials: Sequence[FrozenTrial]) -> bool:
        """Whether the first stage has had its trials, or its time."""
        plain = sum(not one.knobs for one in finished(trials))
        return self._turns_knobs or (second.first_trials is not None and plain >= second.first_trials)

    def _moves(
        self, second: SecondStage, trials: Sequence[FrozenTrial], known: Outcomes
    ) -> tuple[Configuration, ...]:
        goodness = goodness_by_configuration(trials, self._objective)
        there = self._prepared(trials)

        def may_be_turned(one: Configuration) -> bool:
            return self._is_open(one, known) and self._prospects.fits(one.prepared, there, self._left_s)

        return second.moves(goodness, may_be_turned)

    def _may_propose(self, one: Configuration) -> bool:
        is_left_out = one.prepared in self._dropped or one in self._put_off
        return not is_left_out and self._disturbed[one] < ATTEMPTS

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002 - the base class's signature
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """All named parameters: they are chosen together, always."""
        return self.distributions

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002 - the base class's signature
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The next configuration's parameters.

        Raises:
            NothingLeftError: the space is exhausted; ask `untried` before.
        """
        untried = self.untried(study.get_trials(deepcopy=False))
        if not untried:
            raise NothingLeftError("every legal configuration has been tried or is ruled out")
        return untried[0].parameters()

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002 - the base class's signature
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Refuse: every parameter of the space is chosen by `sample_relative`."""
        raise ValueError(
            f"{param_name!r} is not a parameter of the search space: {', '.join(self.distributions)}"
        )
