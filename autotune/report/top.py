"""The table of the best configurations against the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.measurement.measurement import FailureKind
from autotune.objectives.scores import format_score
from autotune.plan.formats import format_gain
from autotune.spec.study import StudySpec
from autotune.store.ranking import gain, measured_baseline, ranked
from autotune.store.records import TrialSummary

TOP_COLUMNS = (
    *("trial", "instances x threads", "placement", "sockets", "cores", "engine", "precision"),
    *("model", "padding", "batching", "knobs", "score", "gain"),
)
LEFT_OUT_WHERE_EQUAL = ("sockets", "cores", "model", "padding", "batching", "knobs")
"""Columns that say nothing where all rows have the same in them."""


def top_table(
    trials: Sequence[TrialSummary], spec: StudySpec, count: int = 10
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows of the `count` best configurations that meet the limits, best first.

    The baseline is always among them; those whose answers are wrong stand at the end. Columns of
    `LEFT_OUT_WHERE_EQUAL` are left out where all rows have the same.
    """
    baseline = measured_baseline(trials)
    shown = ranked(trials, spec)[:count]
    if baseline is not None and baseline not in shown:
        shown.append(baseline)
    shown += [trial for trial in trials if trial.failure == FailureKind.WRONG_OUTPUT]
    cells = [dict(zip(TOP_COLUMNS, _row(trial, baseline, spec), strict=True)) for trial in shown]
    kept = [
        column
        for column in TOP_COLUMNS
        if column not in LEFT_OUT_WHERE_EQUAL or len({row[column] for row in cells}) > 1
    ]
    return tuple(kept), [tuple(row[column] for column in kept) for row in cells]


def _row(trial: TrialSummary, baseline: TrialSummary | None, spec: StudySpec) -> tuple[str, ...]:
    one = trial.configuration
    return (
        "baseline" if trial.baseline else str(trial.number),
        f"{one.instances} x {one.threads_per_instance or 'default'}",
        one.placement + ("+smt" if one.smt else ""),
        one.sockets,
        str(one.cores) if one.cores else "all",
        one.backend,
        one.precision,
        one.model,
        one.padding,
        one.batching,
        one.knobs,
        format_score(spec, trial.score) if trial.score is not None else "wrong output",
        _gain(trial, baseline, spec),
    )


def _gain(trial: TrialSummary, baseline: TrialSummary | None, spec: StudySpec) -> str:
    """How many times as good as the baseline; `none` beside one that has no gain, as it misses a limit."""
    if trial.score is None:
        return ""
    found = gain(trial, baseline, spec)
    return "none" if found is None and baseline is not None else format_gain(found)
