"""What the study is told of a measurement: one score, and by how much each limit is missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from autotune.spec.study import LatencyLimit, StudySpec
from autotune.statistics.quantiles import percentile_of, upper_bound
from autotune.trial.measurement import Measurement
from autotune.trial.statistics import latencies_s, memory_bytes, throughput_sps
from autotune.units import format_bytes, format_latency


def direction(spec: StudySpec) -> Literal["maximize", "minimize"]:
    """Which way the score is better, in Optuna's words."""
    return "maximize" if spec.objective.kind == "throughput" else "minimize"


def score(spec: StudySpec, measurement: Measurement) -> float:
    """The objective's value: samples per second, or seconds at the objective's percentile."""
    if spec.objective.kind == "throughput":
        return throughput_sps(measurement)
    return percentile_of(latencies_s(measurement), spec.objective.percentile)


def violations(spec: StudySpec, measurement: Measurement) -> dict[str, float]:
    """By limit (`latency`, `memory`): measured / limit - 1, so that up to 0 is met and 0.1 is 10 % over.

    Relative, because Optuna's TPE ranks infeasible trials by the sum of their violations.
    """
    found: dict[str, float] = {}
    if spec.limits.latency is not None:
        measured_s = percentile_of(latencies_s(measurement), spec.limits.latency.percentile)
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


def goodness(spec: StudySpec, measurement: Measurement) -> float:
    """What a measurement is worth, larger is better: samples per second, or 1 / latency."""
    return goodness_of(spec, score(spec, measurement))


def goodness_of(spec: StudySpec, value: float) -> float:
    """The goodness of a score; it is its own inverse."""
    return value if spec.objective.kind == "throughput" else 1 / value


def limits_missed(spec: StudySpec, measurements: Sequence[Measurement]) -> list[str]:
    """Which limits all runs of a configuration together do not show to be met; nothing of no runs.

    A latency limit is met when the percentile's 95 % upper bound is; where requests are too few for a bound,
    when the percentile itself is.
    """
    if not measurements:
        return []
    missed = []
    if spec.limits.latency is not None and (reason := _latency_missed(spec.limits.latency, measurements)):
        missed.append(reason)
    if spec.limits.memory_bytes is not None:
        most = max(memory_bytes(one) for one in measurements)
        if most > spec.limits.memory_bytes:
            missed.append(
                f"it takes {format_bytes(most)} of memory, more than {format_bytes(spec.limits.memory_bytes)}"
            )
    return missed


def _latency_missed(limit: LatencyLimit, measurements: Sequence[Measurement]) -> str:
    latencies = [latency for one in measurements for latency in latencies_s(one)]
    bound = upper_bound(latencies, limit.percentile)
    value = percentile_of(latencies, limit.percentile) if bound is None else bound
    if value <= limit.max_s:
        return ""
    return (
        f"its p{limit.percentile:g} latency is not shown to be within {format_latency(limit.max_s)}: "
        f"with 95 % confidence it is at most {format_latency(value)}"
    )
