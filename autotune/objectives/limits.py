"""What a plan must keep to, whatever is optimised: a percentile of latency, and memory.

A single trial is judged by what it measured. A plan is judged by all its runs together and by what they show:
a limit is met when the percentile's 95 % upper bound meets it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from autotune.objectives.outcome import Outcome
from autotune.statistics.quantiles import percentile_of, upper_bound
from autotune.units import format_bytes, format_latency

if TYPE_CHECKING:
    from autotune.spec.study import LatencyLimit, Limits


def violations(limits: Limits, outcome: Outcome) -> dict[str, float]:
    """By limit (`latency`, `memory`): measured / limit - 1, so that up to 0 is met and 0.1 is 10 % over.

    Relative, because Optuna's TPE ranks infeasible trials by the sum of their violations. Of a `server`, what
    counts as measured is the percentile's upper bound at the rate of the score.
    """
    found: dict[str, float] = {}
    if limits.latency is not None:
        found["latency"] = _measured_s(limits.latency, outcome) / limits.latency.max_s - 1
    if limits.memory_bytes is not None:
        found["memory"] = outcome.memory_bytes / limits.memory_bytes - 1
    return found


def missed(limits: Limits, outcomes: Sequence[Outcome]) -> list[str]:
    """Which limits all runs of a configuration together do not show to be met; nothing of no runs.

    Where requests are too few for a bound of a percentile, the percentile itself counts. Every run of a
    `server` has looked for a rate at which its own bound meets the limit: the median run counts.
    """
    return list(_missed(limits, outcomes)) if outcomes else []


def limit_words(limits: Limits, name: str) -> str:
    """One of the limits of `violations`, for people: `the limit of 50.0 ms on p99 latency`."""
    if name == "latency" and limits.latency is not None:
        return (
            f"the limit of {format_latency(limits.latency.max_s)} on p{limits.latency.percentile:g} latency"
        )
    return f"the limit of {format_bytes(limits.memory_bytes or 0)} on memory"


def _measured_s(limit: LatencyLimit, outcome: Outcome) -> float:
    if outcome.promised_s is not None:
        return outcome.promised_s
    return percentile_of(outcome.latencies_s, limit.percentile)


def _missed(limits: Limits, outcomes: Sequence[Outcome]) -> Iterator[str]:
    if limits.latency is not None and (reason := _latency_missed(limits.latency, outcomes)):
        yield reason
    if limits.memory_bytes is None:
        return
    most, limit = max(outcome.memory_bytes for outcome in outcomes), limits.memory_bytes
    if most > limit:
        yield (
            f"it takes {format_bytes(most)} of memory, {most / limit - 1:.1%} more than the limit of "
            f"{format_bytes(limit)}"
        )


def _latency_missed(limit: LatencyLimit, outcomes: Sequence[Outcome]) -> str:
    value = _bound_s(limit, outcomes)
    if value <= limit.max_s:
        return ""
    return (
        f"its p{limit.percentile:g} latency is not shown to be within {format_latency(limit.max_s)}: "
        f"with 95 % confidence it is at most {format_latency(value)}, {value / limit.max_s - 1:.1%} more"
    )


def _bound_s(limit: LatencyLimit, outcomes: Sequence[Outcome]) -> float:
    promised = [outcome.promised_s for outcome in outcomes if outcome.promised_s is not None]
    if promised:
        return statistics.median(promised)
    latencies = [latency for outcome in outcomes for latency in outcome.latencies_s]
    bound = upper_bound(latencies, limit.percentile)
    return percentile_of(latencies, limit.percentile) if bound is None else bound
