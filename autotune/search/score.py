"""What the study is told of a measurement: one score, and by how much each limit is missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autotune.measurement.measurement import Measurement
from autotune.measurement.outcomes import TrialOutcome
from autotune.objectives import limits
from autotune.objectives.catalogue import objective_of
from autotune.objectives.objective import Objective
from autotune.objectives.outcome import Resources
from autotune.spec.scenario import Scenario, traits_of
from autotune.spec.study import StudySpec

if TYPE_CHECKING:
    from autotune.trial.server.rate_search import Demand

LEAST_SHARE = 0.01
"""A rate of less than this share of another one is almost none: what a `server` bears that needs nearly all
of its limit for a single request hangs on that limit, and no ratio to it says anything. Source: stated;
model, engine, precision and placement together are worth a factor of 30 (document classification on 36
cores)."""

LAUNCHES = 1_000_003
"""More than are ever run of one study, so that studies of different seeds have different arrivals."""


def resources_of(spec: StudySpec, measurement: Measurement) -> Resources:
    """What was taken while this was measured, at the study's price."""
    return Resources(measurement.cores, spec.price)


def outcome_of(spec: StudySpec, measurement: Measurement) -> TrialOutcome:
    """What a measurement gave and took."""
    return TrialOutcome(measurement, resources_of(spec, measurement))


def score(spec: StudySpec, measurement: Measurement) -> float:
    """The objective's value, in its unit."""
    return objective_of(spec).score(outcome_of(spec, measurement))


def goodness(spec: StudySpec, measurement: Measurement) -> float:
    """What a measurement is worth, larger is better."""
    return objective_of(spec).goodness_of(outcome_of(spec, measurement))


def violations(spec: StudySpec, measurement: Measurement) -> dict[str, float]:
    """By limit, how far a measurement exceeds it; see `autotune.objectives.limits`."""
    return limits.violations(spec.limits, outcome_of(spec, measurement))


def limits_missed(spec: StudySpec, measurements: Sequence[Measurement]) -> list[str]:
    """Which limits all runs of a configuration together do not show to be met; nothing of no runs."""
    return limits.missed(spec.limits, [outcome_of(spec, measurement) for measurement in measurements])


def demand(
    spec: StudySpec, start_rate_per_s: float | None = None, *, launch: int = 0, is_fixed: bool = False
) -> Demand | None:
    """What the study asks of a trial that looks for a rate; None where none does.

    Args:
        start_rate_per_s: the rate that was found before, so that fewer have to be tried.
        launch: number of this launch among those that are to have arrivals of their own.
        is_fixed: measure at that rate, and look for no other.
    """
    if not traits_of(spec.scenario).seeks_rate or spec.limits.latency is None:
        return None
    from autotune.trial.server.rate_search import Demand  # here: with NumPy, which a ranking does without

    return Demand(spec.limits.latency, LAUNCHES * spec.seed + launch, start_rate_per_s, is_fixed)


def asked_percentiles(spec: StudySpec) -> list[float]:
    """The percentiles that the objective or the limits speak of."""
    own, limit = objective_of(spec).percentile, spec.limits.latency
    return [*([] if own is None else [own]), *([] if limit is None else [limit.percentile])]


def needed_percentile(spec: StudySpec) -> float | None:
    """The highest percentile that objective or limit ask for; None where neither asks for one."""
    return max(asked_percentiles(spec), default=None)


def is_almost_none(objective: Objective, scenario: Scenario, score: float, beside: float) -> bool:
    """Whether the rate found is so low, beside another score, that a ratio of the two says nothing."""
    is_low = objective.goodness(score) < LEAST_SHARE * objective.goodness(beside)
    return traits_of(scenario).seeks_rate and is_low
