"""The table of the best configurations against the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.plan.describe import format_gain
from autotune.report.ranking import gain, measured_baseline, ranked
from autotune.report.scores import format_score
from autotune.spec.study import StudySpec
from autotune.store.records import TrialSummary
from autotune.trial.measurement import FailureKind

TOP_COLUMNS = ("trial", "instances x threads", "placement", "sockets", "engine", "precision", "score", "gain")


def top_table(
    trials: Sequence[TrialSummary], spec: StudySpec, count: int = 10
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows of the `count` best configurations that meet the limits, best first.

    The baseline is always among them; those whose answers are wrong stand at the end. Sockets are left out
    where all rows have the same.
    """
    baseline = measured_baseline(trials)
    shown = ranked(trials, spec)[:count]
    if baseline is not None and baseline not in shown:
        shown.append(baseline)
    shown += [trial for trial in trials if trial.failure == FailureKind.WRONG_OUTPUT]
    one_set = len({trial.configuration.sockets for trial in shown}) <= 1
    kept = [column for column in TOP_COLUMNS if not (one_set and column == "sockets")]
    cells = [dict(zip(TOP_COLUMNS, _row(trial, baseline, spec), strict=True)) for trial in shown]
    return tuple(kept), [tuple(row[column] for column in kept) for row in cells]


def _row(trial: TrialSummary, baseline: TrialSummary | None, spec: StudySpec) -> tuple[str, ...]:
    one = trial.configuration
    return (
        "baseline" if trial.baseline else str(trial.number),
        f"{one.instances} x {one.threads_per_instance or 'default'}",
        one.placement + ("+smt" if one.smt else ""),
        one.sockets,
        one.backend,
        one.precision,
        format_score(spec, trial.score) if trial.score is not None else "wrong output",
        format_gain(gain(trial, baseline, spec)) if trial.score is not None else "",
    )
