"""What earlier trials rule out. Optuna's samplers ignore failed trials, so this is ours to remember."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from autotune.search.distributions import NAMES
from autotune.search.order import pair
from autotune.spec.configuration import Configuration
from autotune.trial.measurement import FailureKind

FAILURE = "failure"
"""User attribute of a trial whose configuration failed: the failure's kind. A failed Optuna trial without
it was interrupted, and says nothing of its configuration."""
PAIR_WIDE = "pair_wide"
"""User attribute, true, of a failed trial that speaks for all of its backend and precision."""


@dataclass(frozen=True)
class Outcomes:
    """What is known of the configurations tried so far.

    Attributes:
        tried: every configuration that gave a measurement or failed of itself.
        refused: (backend, precision) pairs that cannot run here, or answer wrongly.
        memory_bounds: by pair, the fewest instances that ran out of memory.
    """

    tried: frozenset[Configuration]
    refused: frozenset[tuple[str, str]]
    memory_bounds: dict[tuple[str, str], int]

    def rules_out(self, configuration: Configuration) -> bool:
        """Whether the configuration was tried, or is sure to fail as a tried one did.

        - `unsupported` is a property of backend and precision, as is `wrong_output` where answers were
          compared with the reference's: the pair is dropped everywhere.
        - `out_of_memory` at n instances: n or more instances of the same backend and precision are dropped.
        - `disturbed` says nothing of the configuration: it may be tried again.
        - Every other failure speaks for its own configuration alone.
        """
        key = pair(configuration)
        return (
            configuration in self.tried
            or key in self.refused
            or configuration.instances >= self.memory_bounds.get(key, configuration.instances + 1)
        )


def outcomes(trials: Sequence[FrozenTrial]) -> Outcomes:
    """Read what Optuna's trials say; running and interrupted ones say nothing."""
    tried: dict[Configuration, str] = {
        configuration_of(trial): trial.user_attrs.get(FAILURE, "") for trial in trials if _is_answer(trial)
    }
    refused = frozenset(pair(configuration_of(trial)) for trial in trials if _speaks_for_pair(trial))
    bounds: dict[tuple[str, str], int] = {}
    for one, kind in tried.items():
        if kind == FailureKind.OUT_OF_MEMORY:
            bounds[pair(one)] = min(one.instances, bounds.get(pair(one), one.instances))
    return Outcomes(frozenset(tried), refused, bounds)


def configuration_of(trial: FrozenTrial) -> Configuration:
    """The configuration that a trial's named parameters stand for."""
    return Configuration.from_parameters({name: trial.params[name] for name in NAMES if name in trial.params})


def _is_answer(trial: FrozenTrial) -> bool:
    if trial.state == TrialState.COMPLETE:
        return True
    return trial.state == TrialState.FAIL and trial.user_attrs.get(FAILURE) not in (
        None,
        FailureKind.DISTURBED,
    )


def _speaks_for_pair(trial: FrozenTrial) -> bool:
    attributes = trial.user_attrs
    is_unsupported = attributes.get(FAILURE) == FailureKind.UNSUPPORTED
    return _is_answer(trial) and (is_unsupported or bool(attributes.get(PAIR_WIDE)))
