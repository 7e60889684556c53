"""Everything that a report shows of a plan: its document, and what the store holds of its study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from autotune.measurement.measurement import Measurement, TrialResult
from autotune.objectives.catalogue import objective_named
from autotune.objectives.objective import Objective
from autotune.plan.document import Plan
from autotune.spec.configuration import Configuration
from autotune.store.records import ConfirmationRecord, TrialRecord
from autotune.store.store import StudyStore

BASELINE: Final = "baseline"
"""The baseline's name in a confirmation, and in every picture."""
DEFAULT: Final = "default"
"""The name of the best of what engines do as their documentation starts them."""
TWIN: Final = "twin"
"""The name of the second run of the leader's configuration."""
PLAN: Final = "plan"
"""The plan's own name in every picture."""


@dataclass(frozen=True)
class Dossier:
    """A plan and its study up to the moment at which the plan was made.

    Attributes:
        trials: of the search, by number; empty where only the plan's document is there.
        runs: of the confirmation that chose the plan, by round and position.
        later: how many trials of the study ended after the plan was made, and are not shown.
    """

    plan: Plan
    trials: tuple[TrialRecord, ...] = ()
    runs: tuple[ConfirmationRecord, ...] = ()
    later: int = 0

    @cached_property
    def objective(self) -> Objective:
        """What the plan was chosen by."""
        return objective_named(self.plan.objective)

    @property
    def spec(self) -> Mapping[str, Any]:
        """The study file's values; of an older or foreign document perhaps not all of them."""
        return self.plan.study.spec

    @property
    def tie(self) -> float | None:
        """The indifference zone of the confirmation, as a share; None where it is not known."""
        tie = self.plan.study.stated("confirm", "tie")
        return float(tie) if isinstance(tie, int | float) else None

    def goodness(self, score: float) -> float:
        """What a score is worth: a number of which more is better."""
        return self.objective.goodness(score)

    def is_better(self, one: float, other: float) -> bool:
        """Whether one score is better than the other."""
        return self.goodness(one) > self.goodness(other)

    @property
    def is_baseline(self) -> bool:
        """Whether the plan is the baseline itself."""
        return self.plan.is_baseline

    @property
    def name(self) -> Literal["plan", "baseline"]:
        """The plan's configuration in pictures: `plan`, or `baseline` where that is the plan."""
        return BASELINE if self.is_baseline else PLAN

    def contender(self, run: ConfirmationRecord) -> str:
        """The run's name in pictures: `plan`, `baseline`, `default`, `twin` or `trial 7`."""
        if run.contender in (BASELINE, TWIN) or run.configuration != self.plan.configuration:
            return run.contender
        return self.name


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one: documents are read as far as they go."""
    return value if isinstance(value, Mapping) else {}


def gather(plan: Plan, store: StudyStore) -> Dossier:
    """Read what the store holds of the plan's study; of an imported plan, that is its document alone.

    Raises:
        StoreError: it holds no such study, or a result in it is damaged.
    """
    if store.origin(plan.id):
        return Dossier(plan)
    trials = store.trials(plan.study.name)
    before = tuple(trial for trial in trials if trial.ended_s <= plan.created_s)
    runs = choosing_runs(plan, store.confirmations(plan.study.name))
    return Dossier(plan, before, runs, later=len(trials) - len(before))


def choosing_runs(plan: Plan, runs: Iterable[ConfirmationRecord]) -> tuple[ConfirmationRecord, ...]:
    """The runs of the confirmation that chose the plan: the last one before it in which it took part."""
    series: dict[int, list[ConfirmationRecord]] = {}
    for run in runs:
        if run.ended_s <= plan.created_s:
            series.setdefault(run.series, []).append(run)
    of_plan = [number for number, mine in series.items() if _took_part(plan.configuration, mine)]
    if not of_plan or plan.confirmation.verdict == "unconfirmed":
        return ()
    return tuple(series[max(of_plan)])


def measured(result: TrialResult) -> Measurement | None:
    """The result where it is a measurement."""
    return result if isinstance(result, Measurement) else None


def _took_part(configuration: Configuration, runs: Iterable[ConfirmationRecord]) -> bool:
    return any(run.configuration == configuration for run in runs)
