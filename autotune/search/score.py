"""What the study is told of a measurement: one score, and by how much each limit is missed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from autotune.spec.configuration import Scenario
from autotune.spec.study import LatencyLimit, Limits, StudySpec
from autotune.statistics.paired import Interval
from autotune.statistics.quantiles import percentile_of, upper_bound
from autotune.trial.measurement import Measurement
from autotune.trial.rate_search import Demand
from autotune.trial.rates import kept_step, shown_latency_s
from autotune.trial.statistics import latencies_s, memory_bytes, throughput_sps
from autotune.units import format_bytes, format_latency

LEAST_SHARE = 0.01
"""A rate of less than this share of another one is almost none: what a `server` bears that needs nearly all
of its limit for a single request hangs on that limit, and no ratio to it says anything. Source: stated;
model, engine, precision and placement together are worth a factor of 30 (document classification on 36
cores)."""

LAUNCHES = 1_000_003
"""More than are ever run of one study, so that studies of different seeds have different arrivals."""


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

    Relative, because Optuna's TPE ranks infeasible trials by the sum of their violations. Of a `server`, what
    counts as measured is the percentile's upper bound at the rate of the score.
    """
    found: dict[str, float] = {}
    if spec.limits.latency is not None:
        found["latency"] = _limited_s(spec.limits.latency, measurement) / spec.limits.latency.max_s - 1
    if spec.limits.memory_bytes is not None:
        found["memory"] = memory_bytes(measurement) / spec.limits.memory_bytes - 1
    return found


def _limited_s(limit: LatencyLimit, measurement: Measurement) -> float:
    if measurement.scenario == "server":
        return served_within_s(measurement)
    return percentile_of(latencies_s(measurement), limit.percentile)


def demand(spec: StudySpec, start_rate_per_s: float | None = None, *, launch: int = 0) -> Demand | None:
    """What the study asks of a trial of scenario `server`; None for others.

    Args:
        start_rate_per_s: the rate that was found before, so that fewer have to be tried.
        launch: number of this launch among those that are to have arrivals of their own.
    """
    if spec.scenario != "server" or spec.limits.latency is None:
        return None
    return Demand(spec.limits.latency, LAUNCHES * spec.seed + launch, start_rate_per_s)


def needed_percentile(spec: StudySpec) -> float | None:
    """The highest percentile that objective or limit ask for; None where neither asks for one."""
    asked = []
    if spec.objective.kind == "latency":
        asked.append(spec.objective.percentile)
    if spec.limits.latency is not None:
        asked.append(spec.limits.latency.percentile)
    return max(asked, default=None)


def ratio(spec: StudySpec, one: float, baseline: float) -> float:
    """How many times better one score is than the baseline's; more than 1 is better."""
    return one / baseline if spec.objective.kind == "throughput" else baseline / one


def is_almost_none(scenario: Scenario, score: float, beside: float) -> bool:
    """Whether a `server` bears so little, beside another score, that a ratio of the two says nothing."""
    return scenario == "server" and score < LEAST_SHARE * beside


def goodness(spec: StudySpec, measurement: Measurement) -> float:
    """What a measurement is worth, larger is better: samples per second, or 1 / latency."""
    return goodness_of(spec, score(spec, measurement))


def goodness_of(spec: StudySpec, value: float) -> float:
    """The goodness of a score; it is its own inverse."""
    return value if spec.objective.kind == "throughput" else 1 / value


def value_interval(spec: StudySpec, interval: Interval) -> Interval:
    """An interval of goodness in the objective's unit."""
    if spec.objective.kind == "throughput":
        return interval
    low = 1 / interval.high if math.isfinite(interval.high) else 0.0
    high = 1 / interval.low if interval.low > 0 else math.inf
    return replace(interval, estimate=1 / interval.estimate, low=low, high=high)


def limits_missed(spec: StudySpec, measurements: Sequence[Measurement]) -> list[str]:
    """Which limits all runs of a configuration together do not show to be met; nothing of no runs.

    A latency limit is met when the percentile's 95 % upper bound is; where requests are too few for a bound,
    when the percentile itself is. Every run of a `server` has looked for a rate at which its own bound meets
    the limit: the median run counts.
    """
    if not measurements:
        return []
    latency = spec.limits.latency
    bound_s = None if latency is None else _bound_s(latency, measurements)
    return list(limits_exceeded(spec.limits, bound_s, max(memory_bytes(one) for one in measurements)))


def limits_exceeded(limits: Limits, latency_s: float | None, most_bytes: int) -> Iterator[str]:
    """Say which limits are not shown to be met, and by how much they are missed.

    Args:
        latency_s: that the limited percentile is shown not to exceed; None where no latency is limited.
        most_bytes: of memory, that any run took.
    """
    latency, most = limits.latency, limits.memory_bytes
    if latency is not None and latency_s is not None and latency_s > latency.max_s:
        yield (
            f"its p{latency.percentile:g} latency is not shown to be within {format_latency(latency.max_s)}: "
            f"with 95 % confidence it is at most {format_latency(latency_s)}, "
            f"{latency_s / latency.max_s - 1:.1%} more"
        )
    if most is not None and most_bytes > most:
        yield (
            f"it takes {format_bytes(most_bytes)} of memory, {most_bytes / most - 1:.1%} more than the limit "
            f"of {format_bytes(most)}"
        )


def _bound_s(limit: LatencyLimit, measurements: Sequence[Measurement]) -> float:
    if measurements[0].scenario == "server":
        return statistics.median(served_within_s(one) for one in measurements)
    return bound_or_value([latency for one in measurements for latency in latencies_s(one)], limit.percentile)


def served_within_s(measurement: Measurement) -> float:
    """What the limited percentile of a `server` is shown not to exceed, at the rate of its score."""
    return shown_latency_s(kept_step(measurement))


def bound_or_value(latencies_s: Sequence[float], percentile: float) -> float:
    """A percentile's 95 % upper bound; where there are too few for one, the percentile itself."""
    bound = upper_bound(latencies_s, percentile)
    return percentile_of(latencies_s, percentile) if bound is None else bound
