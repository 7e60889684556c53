"""What `verify` and `compare` have in common: figures in words and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autotune.measurement.measurement import Failure
from autotune.objectives.catalogue import objective_of
from autotune.plan.evidence import Range
from autotune.plan.make import range_of
from autotune.rounds.running import Run
from autotune.search.score import score
from autotune.spec.study import StudySpec
from autotune.statistics.paired import Interval

UNMEASURED = "not measured"


def ratio_words(estimate: float, span: Range | None) -> str:
    """A ratio with its interval: `1.234x (95 %: 1.201x to 1.268x)`."""
    sure = "" if span is None else f" (95 %: {span.low:.3f}x to {span.high:.3f}x)"
    return f"{estimate:.3f}x{sure}"


def ratio_now(ratio: Interval | None) -> str:
    """The same of what was measured; a single round has no interval."""
    return UNMEASURED if ratio is None else ratio_words(ratio.estimate, range_of(ratio))


def value_words(spec: StudySpec, estimate: float, span: Range | None) -> str:
    """An objective's value in its unit with its interval."""
    objective = objective_of(spec)
    shown = objective.format(estimate)
    if span is None:
        return shown
    low, high = (objective.format(end) for end in (span.low, span.high))
    return f"{shown} (95 %: {low.split()[0]} to {high})"


def value_now(spec: StudySpec, goodness: Interval | None) -> str:
    """The same of a goodness that was measured."""
    if goodness is None:
        return UNMEASURED
    value = objective_of(spec).interval(goodness)
    return value_words(spec, value.estimate, range_of(value))


def interval_document(interval: Interval | None) -> dict[str, Any] | None:
    """An interval as JSON; ends that a single round does not tell are null."""
    if interval is None:
        return None
    known = math.isfinite(interval.half_width)
    return {
        "estimate": interval.estimate,
        "low": interval.low if known else None,
        "high": interval.high if known else None,
        "confidence": interval.confidence,
        "rounds": interval.count,
    }


def value_document(spec: StudySpec, goodness: Interval | None) -> dict[str, Any] | None:
    """The value of the objective, in its unit, of a goodness that was measured."""
    return interval_document(None if goodness is None else objective_of(spec).interval(goodness))


def runs_document(spec: StudySpec, runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Every run as JSON, in order."""
    return [
        {
            "round": run.round,
            "position": run.position,
            "name": run.entrant.name,
            "started_s": run.started_s,
            "ended_s": run.ended_s,
            **_outcome(spec, run),
        }
        for run in runs
    ]


def _outcome(spec: StudySpec, run: Run) -> dict[str, Any]:
    if isinstance(run.result, Failure):
        return {"value": None, "failure": {"kind": str(run.result.kind), "reason": run.result.reason}}
    return {"value": score(spec, run.result), "failure": None}
