"""Figures and runs as parts of documents."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autotune.measurement.measurement import Failure
from autotune.objectives.catalogue import objective_of
from autotune.rounds.running import Run
from autotune.search.score import score
from autotune.spec.study import StudySpec
from autotune.statistics.paired import Interval


def interval_document(interval: Interval | None) -> dict[str, Any] | None:
    """Write an interval as JSON; ends that a single round does not tell are null."""
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
    """Write the value of the objective, in its unit, of a goodness that was measured."""
    return interval_document(None if goodness is None else objective_of(spec).interval(goodness))


def runs_document(spec: StudySpec, runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Write every run as JSON, in order."""
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
