"""Where the minutes of a study went: preparing, loading, warming up, measuring, and waiting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from autotune.measurement.measurement import Measurement, TrialResult
from autotune.plan.evidence import Spent


class Timed(Protocol):
    """A trial of the search, or a run of a round."""

    @property
    def started_s(self) -> float:
        """Unix time."""
        ...

    @property
    def ended_s(self) -> float:
        """Unix time."""
        ...

    @property
    def result(self) -> TrialResult:
        """What it gave."""
        ...


def spent(
    trials: Iterable[Timed], runs: Iterable[Timed] = (), *, looking_s: float = 0.0, waited_s: float = 0.0
) -> Spent:
    """Sum up what was begun and ended; the time between two calls of one study is nobody's.

    Args:
        trials: of the search, whose artifacts are prepared before they are launched.
        runs: of the rounds, whose artifacts are there.
        looking_s: at engines, before the first trial.
        waited_s: for others, before looks and trials began.
    """
    parts = [*map(_of_trial, trials), *map(_of_run, runs)]
    total = Spent(looking_s=looking_s, waiting_s=waited_s)
    for part in parts:
        total = Spent(**{name: value + getattr(part, name) for name, value in total.model_dump().items()})
    return total


def _of_trial(trial: Timed) -> Spent:
    """A failed one may have failed in preparation or later, which its document does not say: preparing."""
    whole_s = max(0.0, trial.ended_s - trial.started_s)
    if not isinstance(trial.result, Measurement):
        return Spent(preparing_s=whole_s)
    launched_s = min(trial.result.wall_s, whole_s)
    return _launched(trial.result, launched_s, before_s=whole_s - launched_s)


def _of_run(run: Timed) -> Spent:
    whole_s = max(0.0, run.ended_s - run.started_s)
    if not isinstance(run.result, Measurement):
        return Spent(waiting_s=whole_s)
    launch = _launched(run.result, min(run.result.wall_s, whole_s), before_s=0.0)
    return launch.model_copy(update={"waiting_s": launch.waiting_s + max(0.0, whole_s - run.result.wall_s)})


def _launched(measurement: Measurement, wall_s: float, *, before_s: float) -> Spent:
    loading_s = max((observation.load_s for observation in measurement.observations), default=0.0)
    known_s = loading_s + measurement.warmup_s + measurement.measuring_s
    return Spent(
        preparing_s=before_s,
        loading_s=loading_s,
        warming_s=measurement.warmup_s,
        measuring_s=measurement.measuring_s,
        waiting_s=max(0.0, wall_s - known_s),
    )
