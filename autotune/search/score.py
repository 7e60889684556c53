"""What the study is told of a measurement: one score, and by how much each limit is missed."""

from __future__ import annotations

from typing import Literal

from autotune.spec.study import StudySpec
from autotune.trial.measurement import Measurement
from autotune.trial.statistics import latencies_s, memory_bytes, percentile_s, throughput_sps


def direction(spec: StudySpec) -> Literal["maximize", "minimize"]:
    """Which way the score is better, in Optuna's words."""
    return "maximize" if spec.objective.kind == "throughput" else "minimize"


def score(spec: StudySpec, measurement: Measurement) -> float:
    """The objective's value: samples per second, or seconds at the objective's percentile."""
    if spec.objective.kind == "throughput":
        return throughput_sps(measurement)
    return percentile_s(latencies_s(measurement), spec.objective.percentile)


def violations(spec: StudySpec, measurement: Measurement) -> dict[str, float]:
    """By limit (`latency`, `memory`): measured / limit - 1, so that up to 0 is met and 0.1 is 10 % over.

    Relative, because Optuna's TPE ranks infeasible trials by the sum of their violations.
    """
    found: dict[str, float] = {}
    if spec.limits.latency is not None:
        measured_s = percentile_s(latencies_s(measurement), spec.limits.latency.percentile)
        found["latency"] = measured_s / spec.limits.latency.max_s - 1
    if spec.limits.memory_bytes is not None:
        found["memory"] = memory_bytes(measurement) / spec.limits.memory_bytes - 1
    return found


def needed_percentile(spec: StudySpec) -> float:
    """The highest percentile that objective or limit ask for; at least the median, which plans state."""
    asked = [50.0]
    if spec.objective.kind == "latency":
        asked.append(spec.objective.percentile)
    if spec.limits.latency is not None:
        asked.append(spec.limits.latency.percentile)
    return max(asked)


def ratio(spec: StudySpec, one: float, baseline: float) -> float:
    """How many times better one score is than the baseline's; more than 1 is better."""
    return one / baseline if spec.objective.kind == "throughput" else baseline / one
