"""What each parameter of the search was worth.

Three views, none of which is the whole truth, as the search does not try everything:

- *The best with each value*, the other parameters free, as a share of the best of all. What is lost when the
  worst value is kept and everything else is tuned around it is what the parameter was worth.
- *Paired*: trials that differ in this parameter alone; the geometric mean of the better over the worse.
  Noise makes it a little larger than it is.
- *Importance*: the share of the difference between the top quarter and all trials that the parameter
  explains (PED-ANOVA), where there are enough trials.

Source: S. Watanabe, A. Bansal, F. Hutter, PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
Arbitrary Subspaces, IJCAI 2023; `optuna.importance.PedAnovaImportanceEvaluator`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from autotune.report.dossier import Dossier
from autotune.report.outcome import is_feasible, is_searched
from autotune.spec.configuration import Configuration

PARAMETERS: Final = tuple(field.name for field in fields(Configuration))

MIN_TRIALS: Final = 40
"""For importances: the top quarter, whose values are compared with all, has ten trials then."""
TOP_SHARE: Final = 0.25

Tried = tuple[Configuration, float]
"""A configuration and its goodness."""


@dataclass(frozen=True)
class ValueEffect:
    """One value of a parameter.

    Attributes:
        shares: goodness of every trial with this value, as a share of the best of all; best first.
    """

    value: Any
    shares: tuple[float, ...]

    @property
    def best(self) -> float:
        """What can be reached with this value, the others free."""
        return self.shares[0]


@dataclass(frozen=True)
class ParameterEffect:
    """One parameter that was searched.

    Attributes:
        values: ascending; at least two.
        pairs: groups of trials that differ in it alone; paired: their mean ratio of best over worst.
        importance: its share of all importances; None where there are too few trials.
    """

    parameter: str
    values: tuple[ValueEffect, ...]
    pairs: int
    paired: float | None
    importance: float | None

    @property
    def worth(self) -> float:
        """Share of the best that is lost with the worst value, when all else is chosen well."""
        return 1 - min(value.best for value in self.values)

    @property
    def best_value(self) -> ValueEffect:
        """The value with the best trial."""
        return max(self.values, key=lambda value: value.best)


def parameter_effects(dossier: Dossier) -> tuple[ParameterEffect, ...]:
    """Every parameter of which more than one value was measured, the most valuable first."""
    tried = _tried(dossier)
    if not tried:
        return ()
    importances = _importances(tried)
    varied = [name for name in PARAMETERS if len({getattr(one, name) for one, _ in tried}) > 1]
    effects = (_effect(name, tried, importances.get(name)) for name in varied)
    return tuple(sorted(effects, key=lambda effect: -effect.worth))


def _tried(dossier: Dossier) -> list[Tried]:
    """What met the limits, without baseline and defaults: their values are no choice of the search."""
    return [
        (trial.configuration, dossier.goodness(trial.score))
        for trial in dossier.trials
        if is_feasible(trial) and is_searched(trial) and trial.score
    ]


def _effect(name: str, tried: Sequence[Tried], importance: float | None) -> ParameterEffect:
    best = max(goodness for _, goodness in tried)
    shares: dict[Any, list[float]] = {}
    for configuration, goodness in tried:
        shares.setdefault(getattr(configuration, name), []).append(goodness / best)
    values = tuple(ValueEffect(value, tuple(sorted(shares[value], reverse=True))) for value in sorted(shares))
    ratios = _paired_ratios(name, tried)
    paired = statistics.geometric_mean(ratios) if ratios else None
    return ParameterEffect(name, values, len(ratios), paired, importance)


def _paired_ratios(name: str, tried: Iterable[Tried]) -> list[float]:
    """Best over worst in every group of trials that have all other parameters in common."""
    groups: dict[tuple[Any, ...], list[float]] = {}
    for configuration, goodness in tried:
        rest = tuple(getattr(configuration, other) for other in PARAMETERS if other != name)
        groups.setdefault(rest, []).append(goodness)
    return [max(group) / min(group) for group in groups.values() if len(group) > 1]


def _importances(tried: Sequence[Tried]) -> Mapping[str, float]:
    """By parameter; empty where there are too few trials, or too many are as good as the best."""
    if len(tried) < MIN_TRIALS or not _has_a_top(tried):
        return {}
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        evaluator = PedAnovaImportanceEvaluator(target_quantile=TOP_SHARE)
        return get_param_importances(_optuna_study(tried), evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(level)


def _has_a_top(tried: Sequence[Tried]) -> bool:
    """Whether what is at least as good as the top share is less than half of all."""
    ordered = sorted((goodness for _, goodness in tried), reverse=True)
    threshold = ordered[math.ceil(TOP_SHARE * len(ordered)) - 1]
    return sum(goodness >= threshold for goodness in ordered) < len(ordered) / 2


def _optuna_study(tried: Sequence[Tried]) -> Any:
    """The trials in memory, every parameter a choice among the values that were tried."""
    import optuna
    from optuna.distributions import CategoricalDistribution

    choices = {name: sorted({getattr(one, name) for one, _ in tried}) for name in PARAMETERS}
    made = {name: CategoricalDistribution(values) for name, values in choices.items()}
    study = optuna.create_study(direction="maximize")
    for configuration, goodness in tried:
        study.add_trial(
            optuna.create_trial(params=configuration.parameters(), distributions=dict(made), value=goodness)
        )
    return study
