"""What earlier trials rule out. Optuna's samplers ignore failed trials, so this is ours to remember."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from autotune.measurement.measurement import FailureKind
from autotune.objectives.objective import Objective
from autotune.search.distributions import NAMES
from autotune.spec.configuration import Configuration, Prepared

FAILURE = "failure"
"""User attribute of a trial whose configuration failed: the failure's kind. A failed Optuna trial without
it was interrupted, and says nothing of its configuration."""
PAIR_WIDE = "pair_wide"
"""User attribute, true, of a failed trial that speaks for all that runs what is prepared for it."""
MODEL_WIDE = "model_wide"
"""User attribute, true, of a failed trial that speaks for all of its model."""
MAY_PASS = "may_pass"
"""User attribute, true, of a failed trial that says nothing of its configuration: its reason may pass."""


@dataclass(frozen=True)
class Outcomes:
    """What is known of the configurations tried so far.

    Attributes:
        tried: every configuration that gave a measurement or failed of itself.
        refused: what cannot run here, or answers wrongly.
        refused_models: variants of which that is true of all configurations.
        memory_bounds: the fewest instances of each that ran out of memory.
        running: configurations that are being run at this moment.
    """

    tried: frozenset[Configuration]
    refused: frozenset[Prepared]
    refused_models: frozenset[str]
    memory_bounds: dict[Prepared, int]
    running: frozenset[Configuration] = frozenset()

    def rules_out(self, configuration: Configuration) -> bool:
        """Whether the configuration was tried, is being run, or is sure to fail as a tried one did.

        - `unsupported` is a property of what is prepared (model, backend, precision, and knobs that are
          turned in preparation), as is `wrong_output` where answers were compared with the reference's: it
          is dropped everywhere. Where a variant of the model itself is refused, it is dropped with every
          engine.
        - `out_of_memory` at n instances: n or more instances of the same are dropped.
        - `disturbed` says nothing of the configuration, nor does a failure whose reason may pass, such
          as want of memory in preparing, which other programs may have held: it may be tried again.
        - Every other failure speaks for its own configuration alone, as does every one of a configuration
          with knobs that are turned when it is loaded.
        """
        key = configuration.prepared
        return (
            configuration in self.tried
            or configuration in self.running
            or key in self.refused
            or configuration.model in self.refused_models
            or configuration.instances >= self.memory_bounds.get(key, configuration.instances + 1)
        )


def outcomes(trials: Sequence[FrozenTrial]) -> Outcomes:
    """Read what Optuna's trials say; interrupted ones say nothing, running ones that they are being run."""
    tried: dict[Configuration, str] = {
        configuration_of(trial): trial.user_attrs.get(FAILURE, "") for trial in trials if _is_answer(trial)
    }
    refused = frozenset(configuration_of(trial).prepared for trial in trials if _speaks_for_others(trial))
    models = frozenset(configuration_of(trial).model for trial in trials if _speaks_for_model(trial))
    bounds: dict[Prepared, int] = {}
    for one, kind in tried.items():
        if kind == FailureKind.OUT_OF_MEMORY and one.is_plain:
            bounds[one.prepared] = min(one.instances, bounds.get(one.prepared, one.instances))
    return Outcomes(frozenset(tried), refused, models, bounds, _running(trials))


def _running(trials: Sequence[FrozenTrial]) -> frozenset[Configuration]:
    """Name what is being run."""
    return frozenset(
        configuration_of(trial)
        for trial in trials
        if trial.state == TrialState.RUNNING and has_configuration(trial)
    )


def has_configuration(trial: FrozenTrial) -> bool:
    """Say whether a trial has all its parameters: one that is just being asked for has none yet."""
    return trial.params.keys() >= set(NAMES)


def goodness_by_configuration(
    trials: Sequence[FrozenTrial], objective: Objective
) -> dict[Configuration, float | None]:
    """What each answered configuration was worth, larger is better; None of what failed or misses a limit."""
    return {configuration_of(trial): _goodness(trial, objective) for trial in trials if _is_answer(trial)}


def finished(trials: Sequence[FrozenTrial]) -> list[Configuration]:
    """The configurations of all trials that were told anything, disturbed ones included."""
    return [
        configuration_of(trial)
        for trial in trials
        if trial.state == TrialState.COMPLETE or FAILURE in trial.user_attrs
    ]


def _goodness(trial: FrozenTrial, objective: Objective) -> float | None:
    if trial.state != TrialState.COMPLETE or trial.value is None:
        return None
    if any(missed > 0 for missed in trial.constraints.values()):
        return None
    return objective.goodness(trial.value)


def configuration_of(trial: FrozenTrial) -> Configuration:
    """The configuration that a trial's named parameters stand for."""
    return Configuration.from_parameters({name: trial.params[name] for name in NAMES if name in trial.params})


def passing(trial: FrozenTrial) -> FrozenTrial:
    """The same failed trial, of which it is known that its reason may pass."""
    told = copy.copy(trial)
    told.user_attrs = {**trial.user_attrs, MAY_PASS: True}
    return told


def _is_answer(trial: FrozenTrial) -> bool:
    if trial.state == TrialState.COMPLETE:
        return True
    attributes = trial.user_attrs
    is_told = trial.state == TrialState.FAIL and attributes.get(FAILURE) not in (None, FailureKind.DISTURBED)
    return is_told and not attributes.get(MAY_PASS)


def _speaks_for_model(trial: FrozenTrial) -> bool:
    return _is_answer(trial) and bool(trial.user_attrs.get(MODEL_WIDE))


def _speaks_for_others(trial: FrozenTrial) -> bool:
    attributes = trial.user_attrs
    is_unsupported = attributes.get(FAILURE) == FailureKind.UNSUPPORTED
    is_wide = is_unsupported or bool(attributes.get(PAIR_WIDE))
    return _is_answer(trial) and is_wide and configuration_of(trial).is_plain
