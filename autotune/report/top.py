"""The table of the best configurations against the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.plan.describe import format_gain
from autotune.report.ranking import gain, measured_baseline, ranked
from autotune.report.scores import format_score
from autotune.spec.study import StudySpec
from autotune.store.records import TrialSummary

TOP_COLUMNS = (
    "trial",
    "instances",
    "threads",
    "placement",
    "sockets",
    "engine",
    "precision",
    "score",
    "gain",
)


def top_rows(trials: Sequence[TrialSummary], spec: StudySpec, count: int = 10) -> list[tuple[str, ...]]:
    """The `count` best configurations that meet the limits, best first; the baseline is always among them."""
    baseline = measured_baseline(trials)
    shown = ranked(trials, spec)[:count]
    if baseline is not None and baseline not in shown:
        shown.append(baseline)
    return [_row(trial, baseline, spec) for trial in shown]


def _row(trial: TrialSummary, baseline: TrialSummary | None, spec: StudySpec) -> tuple[str, ...]:
    one = trial.configuration
    return (
        f"{trial.number} (baseline)" if trial.baseline else str(trial.number),
        str(one.instances),
        str(one.threads_per_instance or "default"),
        one.placement + ("+smt" if one.smt else ""),
        one.sockets,
        one.backend,
        one.precision,
        format_score(spec, trial.score or 0.0),
        format_gain(gain(trial, baseline, spec)),
    )
