"""Scores as people read them."""

from __future__ import annotations

from autotune.plan.describe import format_objective_value
from autotune.plan.make import objective_name
from autotune.spec.study import StudySpec


def format_score(spec: StudySpec, score: float) -> str:
    """A score in the objective's unit: `23.6 samples/s`, or `p99 12.3 ms`."""
    value = format_objective_value(objective_name(spec.objective), score)
    return value if spec.objective.kind == "throughput" else f"p{spec.objective.percentile:g} {value}"
