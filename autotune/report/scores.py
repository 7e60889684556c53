"""Scores as people read them."""

from __future__ import annotations

from autotune.spec.study import StudySpec
from autotune.units import format_latency, format_throughput


def format_score(spec: StudySpec, score: float) -> str:
    """A score in the objective's unit: `23.6 samples/s`, or `p99 12.3 ms`."""
    if spec.objective.kind == "throughput":
        return format_throughput(score)
    return f"p{spec.objective.percentile:g} {format_latency(score)}"


def format_ratio(ratio: float | None) -> str:
    """How many times better than the baseline, `2.41x`; a dash when unknown."""
    return "-" if ratio is None else f"{ratio:.2f}x"
