"""The Optuna sampler that proposes legal, untried configurations only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial

from autotune.search.distributions import distributions, varying
from autotune.search.order import promising_order
from autotune.search.outcomes import Outcomes, finished, goodness_by_configuration, outcomes
from autotune.search.second_stage import SecondStage
from autotune.search.space import SearchSpace
from autotune.spec.configuration import Configuration, Prepared

ENUMERATE_AT_MOST = 32
"""Spaces up to this size are enumerated whatever the budget: TPE with its start-up trials cannot be better
than an order there. Larger ones are enumerated when the budget covers them."""
STARTUP_TRIALS = 10
"""Measured trials before TPE proposes. Source: Optuna's default, `n_startup_trials`."""
CANDIDATES = 24
"""Draws that TPE compares. Source: Optuna's default, `n_ei_candidates`."""
ATTEMPTS = 2
"""Trials of one configuration in one run of a study, when the host disturbed the first."""
DISTANCE_WEIGHTS: dict[str, float] = {
    "backend": 8.0,
    "precision": 8.0,
    "model": 8.0,
    "padding": 4.0,
    "batching": 2.0,
    "knobs": 1.0,
    "smt": 2.0,
    "placement": 1.0,
    "sockets": 1.0,
}
"""What one differing categorical parameter adds to `distance`, where 1 is a factor of two in instances or
threads: an engine is not traded for a near thread count, a placement may be."""


class LegalSampler(BaseSampler):
    """Picks among the legal configurations that are neither tried nor ruled out by failures.

    First the baseline, then the recipes, then the rest: small spaces in `promising_order`, larger ones
    in that order until `STARTUP_TRIALS` are measured and from there the one nearest to what TPE proposes.
    When the first stage is over, `autotune.search.second_stage` says whose knobs are turned; then the rest.
    The queue is kept here and not in the storage (`Study.enqueue_trial`), so that failures can shorten it.
    Every choice depends only on the seed and the study's trials, so a resumed study goes on as it would have.
    """

    def __init__(
        self, space: SearchSpace, *, seed: int, budget: int | None, second: SecondStage | None = None
    ) -> None:
        """Sample from `space`.

        Args:
            budget: trials of the whole study; None = no bound.
            second: what comes after the first stage; None = nothing.
        """
        self.distributions = distributions(space)
        self._queue = (space.baseline, *space.defaults, *space.recipes)
        self._rest = promising_order(space.configurations, seed)
        self._seed = seed
        first = budget if second is None else second.first_trials
        self._enumerates = len(self._rest) <= max(ENUMERATE_AT_MOST, (first or 0) - 1)
        self._second = second
        self._turns_knobs = False
        self._dropped: set[Prepared] = set()
        self._only: frozenset[Prepared] | None = None
        self._disturbed: Counter[Configuration] = Counter()

    def disturbed(self, configuration: Configuration) -> None:
        """Count a trial that the host disturbed: it is proposed once more, after all that is new."""
        self._disturbed[configuration] += 1

    def drop(self, configuration: Configuration) -> None:
        """Propose what is prepared for it no more while this sampler lives."""
        self._dropped.add(configuration.prepared)

    def keep_to(self, prepared: frozenset[Prepared] | None) -> None:
        """Propose what runs these only, until told otherwise; None = all."""
        self._only = prepared

    def turn_knobs(self, *, now: bool) -> None:
        """Begin the second stage, however few trials the first has had; or leave it to their number."""
        self._turns_knobs = now

    def untried(self, trials: Sequence[FrozenTrial]) -> tuple[Configuration, ...]:
        """What may still be proposed, most promising first; empty when the space is exhausted."""
        known = outcomes(trials)
        left = [
            one
            for one in dict.fromkeys((*self._queue, *self._rest))
            if self._may_propose(one) and not known.rules_out(one)
        ]
        if self._second is not None and (not left or self._is_first_over(self._second, trials)):
            left = self._moves(self._second, trials, known) or left
        return tuple(sorted(left, key=lambda one: self._disturbed[one]))

    def _is_first_over(self, second: SecondStage, trials: Sequence[FrozenTrial]) -> bool:
        """Whether the first stage has had its trials, or its time."""
        plain = sum(not one.knobs for one in finished(trials))
        return self._turns_knobs or (second.first_trials is not None and plain >= second.first_trials)

    def _moves(
        self, second: SecondStage, trials: Sequence[FrozenTrial], known: Outcomes
    ) -> list[Configuration]:
        goodness = goodness_by_configuration(trials, is_maximized=second.is_maximized)
        return list(second.moves(goodness, lambda one: self._may_propose(one) and not known.rules_out(one)))

    def _may_propose(self, one: Configuration) -> bool:
        kept = self._only is None or one.prepared in self._only
        return kept and one.prepared not in self._dropped and self._disturbed[one] < ATTEMPTS

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002 - the base class's signature
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """All named parameters: they are chosen together, always."""
        return self.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next configuration's parameters.

        Raises:
            ValueError: the space is exhausted; ask `untried` before.
        """
        untried = self.untried(study.get_trials(deepcopy=False))
        if not untried:
            raise ValueError("every legal configuration has been tried or is ruled out")
        if self._enumerates or untried[0].knobs or untried[0] in self._queue:
            return untried[0].parameters()
        proposed = self._tpe(trial.number).sample_relative(study, trial, varying(search_space))
        return (nearest(untried, proposed) if proposed else untried[0]).parameters()

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

    def _tpe(self, number: int) -> TPESampler:
        """TPE, seeded by trial so that a resumed study proposes what an uninterrupted one does.

        Every option is passed but those that Optuna 5 deprecates (passing one warns).
        """
        return TPESampler(
            n_startup_trials=STARTUP_TRIALS,
            n_ei_candidates=CANDIDATES,
            seed=(self._seed * 1_000_003 + number) % 2**32,
            multivariate=True,
            group=False,
            constant_liar=False,
        )


def nearest(configurations: Sequence[Configuration], parameters: Mapping[str, Any]) -> Configuration:
    """The configuration with the smallest `distance` to the parameters; the earlier one of equals."""
    return min(configurations, key=lambda one: distance(one, parameters))


def distance(configuration: Configuration, parameters: Mapping[str, Any]) -> float:
    """How far a configuration is from named parameters (those that are given).

    The sum of |log2 of the ratio| of instances and of threads (the engine's default, 0, counts as 1) and
    of `DISTANCE_WEIGHTS` for each categorical parameter that differs.
    """
    return sum(_difference(name, getattr(configuration, name), value) for name, value in parameters.items())


def _difference(name: str, one: Any, other: Any) -> float:
    if name in DISTANCE_WEIGHTS:
        return 0.0 if one == other else DISTANCE_WEIGHTS[name]
    return abs(math.log2(max(1, one) / max(1, other)))
