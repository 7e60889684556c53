"""Scores as people read them."""

from __future__ import annotations

from autotune.objectives.catalogue import objective_of
from autotune.spec.study import StudySpec


def format_score(spec: StudySpec, score: float) -> str:
    """A score in the objective's unit: `23.6 samples/s`, or `p99 12.3 ms`."""
    return objective_of(spec).told(score)
